package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
)

// streams are the standard streams of one run of the program.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every client command shares: the streams and the flags of all.
type app struct {
	streams
	server, token, output string
}

// newRoot makes the whole command line.
func newRoot(s streams) *cobra.Command {
	a := &app{streams: s}
	root := group("headwater", "A feature store: point-in-time training data, online features, and where both come from",
		newDev(a), newServe(a), newMigrate(a), newValidate(a), newTest(a), newSchema(a), newPlan(a), newApply(a), newList(a), newDescribe(a), newDiff(a),
		newIngest(a), newLoads(a), newMaterialize(a), newRuns(a), newQuarantine(a), newProfile(a), newBaseline(a), newDrift(a),
		newSkew(a), newQuality(a),
		newGet(a), newReads(a), newTrace(a), newImpact(a), newDataset(a), newApprove(a), newApprovals(a), newOnline(a), newGC(a), newForget(a), newModel(a), newPredictions(a), newOutcomes(a), newPerformance(a), newAttribute(a), newLineage(a), newToken(a), newAccess(a), newAudit(a), newVersion(a), newBias(a),
	)
	root.Long = `Headwater keeps features: it computes them from sources, joins them to training data as they were known at each row's
time, serves the newest ones online, and records where every value comes from.

Begin with a server of your own: headwater dev. Every command but dev, serve, migrate, validate, test, schema and version
calls a server, with a token: those of flags, else of the environment, else of the file that HEADWATER_CONFIG names, or of
headwater/client.env in the user's folder of configurations, with lines such as HEADWATER_SERVER=HOST:PORT. Results go to standard output, messages and progress to standard error.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 unauthenticated or denied, 4 not found, 5 a verification did not hold,
6 plan found changes.`
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelp(root))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; see `%s --help`", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "address of the server, HOST:PORT (HEADWATER_SERVER; default "+client.DefaultServer+")")
	flags.StringVar(&a.token, "token", "", "token to call with (HEADWATER_TOKEN, or the file HEADWATER_TOKEN_FILE)")
	flags.StringVarP(&a.output, "output", "o", "table", "form of the result: table, json or csv")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		forms := []string{"table", "json", "csv"}
		if more := cmd.Annotations[moreForms]; more != "" {
			forms = append(forms, strings.Split(more, ",")...)
		}
		if slices.Contains(forms, a.output) {
			return nil
		}
		last := len(forms) - 1
		return usagef("found output %q, expected %s or %s", a.output, strings.Join(forms[:last], ", "), forms[last])
	}
	return root
}

// moreForms is the annotation of a command whose result has other forms than table, json and csv: which, separated by commas.
const moreForms = "forms"

// newHelp is cobra's help command, but for topics that do not exist.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command", Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("found no command `headwater %s` to explain; see `headwater --help`", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// group is a command that only has commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	g.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		expected := strings.Join(names, ", ")
		if len(args) == 0 {
			return usagef("`%s` needs a command, one of %s; see `%[1]s --help`", cmd.CommandPath(), expected)
		}
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			return usagef("found `%s %s`, which is not a command; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(similar, " or "))
		}
		return usagef("found `%s %s`, which is not a command; expected one of %s", cmd.CommandPath(), args[0], expected)
	}
	g.SuggestionsMinimumDistance = 2
	g.AddCommand(commands...)
	return g
}

// takes is the number of arguments a command takes; most of 0 is any number. names is how they are written.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("found %s, expected `%s %s`", counted(len(args), "argument"), cmd.CommandPath(), names)
		case most > 0 && len(args) > most:
			return usagef("found %s, of which %q is one too many; expected `%s %s`", counted(len(args), "argument"), args[most], cmd.CommandPath(), names)
		}
		return nil
	}
}

// takesNone is the arguments of a command that has none.
func takesNone(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("found argument %q, expected none after `%s`", args[0], cmd.CommandPath())
	}
	return nil
}

// require refuses a command line without a flag that has no default.
func require(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !cmd.Flags().Changed(name) {
			return usagef("`%s` needs --%s; see `%[1]s --help`", cmd.CommandPath(), name)
		}
	}
	return nil
}

// dial connects to the server that the flags, the environment or the file of clients name.
func (a *app) dial() (*client.Client, error) {
	c, err := a.connection()
	if err != nil {
		return nil, err
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	return client.Dial(c.server, c.token, options)
}

// called runs a command on a connection of its own.
func (a *app) called(do func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd, c, args)
	}
}

// document is called for a command whose result is not one table: a form that cannot show it is refused before anything is
// done.
func (a *app) document(do func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	call := a.called(do)
	return func(cmd *cobra.Command, args []string) error {
		if a.output == "csv" {
			return usagef("found -o csv, expected table or json: this result is not one table")
		}
		return call(cmd, args)
	}
}

func first(choices ...string) string {
	for _, c := range choices {
		if c != "" {
			return c
		}
	}
	return ""
}
