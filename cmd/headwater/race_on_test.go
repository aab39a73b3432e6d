//go:build race

package main

// withRaceDetector tells that the test, and so the program that it is, runs several times as long.
const withRaceDetector = true
