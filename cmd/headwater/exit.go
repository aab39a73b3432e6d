package main

import (
	"errors"
	"fmt"

	"github.com/headwaterhq/headwater/internal/fault"
)

// The exit statuses, a contract.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitDenied    = 3
	exitNotFound  = 4
	exitNotHeld   = 5
	exitHasChange = 6
)

// usageError is a command line that cannot be carried out, whatever the server holds.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// outcome ends the program with a status and without a message: what there is to say is on standard output.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("status %d", int(o)) }

// exitCode is the exit status that an error stands for: 0 done, 1 failed, 2 usage, 3 unauthenticated or denied, 4 not
// found, 5 a check or verification did not hold, 6 `plan` found changes.
func exitCode(err error) int {
	var o outcome
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &o):
		return int(o)
	case errors.As(err, &usage):
		return exitUsage
	}
	switch fault.ReasonOf(err) {
	case fault.InvalidArgument:
		return exitUsage
	case fault.Unauthenticated, fault.PermissionDenied:
		return exitDenied
	case fault.NotFound:
		return exitNotFound
	case fault.DigestMismatch, fault.GateRefused:
		return exitNotHeld
	}
	return exitFailed
}

// messageOf is what standard error is told of an error, "" for nothing.
func messageOf(err error) string {
	var o outcome
	if err == nil || errors.As(err, &o) {
		return ""
	}
	return err.Error()
}
