package main

import (
	"fmt"
	"slices"
	"strings"
)

// options are the command line after the name of the command. The file of the
// key is --key-file in all of them, as in the original; short it is -k for the
// public one, -i for the private one.
type options struct {
	keyFile     string
	namespace   string
	data        string
	dataFile    string
	keepNewline bool
	help        bool
	given       map[string]bool // by their long names
}

type option struct {
	name    string // as in command.options
	long    string
	short   string // "" = none
	text    func(o *options) *string
	boolean func(o *options) *bool
}

var known = []option{
	{name: "public-key", long: "--key-file", short: "-k", text: func(o *options) *string { return &o.keyFile }},
	{name: "private-key", long: "--key-file", short: "-i", text: func(o *options) *string { return &o.keyFile }},
	{name: "namespace", long: "--namespace", short: "-n", text: func(o *options) *string { return &o.namespace }},
	{name: "data", long: "--data", short: "-d", text: func(o *options) *string { return &o.data }},
	{name: "data-file", long: "--data-file", text: func(o *options) *string { return &o.dataFile }},
	{name: "keep-newline", long: "--keep-newline", boolean: func(o *options) *bool { return &o.keepNewline }},
	{name: "help", long: "--help", short: "-h", boolean: func(o *options) *bool { return &o.help }},
}

// parseOptions reads `--long VALUE`, `--long=VALUE`, `-s VALUE`, `-sVALUE` and
// `-s=VALUE`, all of which the original knows. Its errors never have a value in
// them, nor an argument without an option: either may be the secret.
func parseOptions(args, allowed []string) (*options, error) {
	o := &options{given: map[string]bool{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		opt, value, attached := find(arg, allowed)
		switch {
		case opt == nil && len(arg) > 1 && arg[0] == '-':
			return nil, usageError(fmt.Sprintf("there is no option %s here", optionName(arg)))
		case opt == nil:
			return nil, usageError("there is an argument too many: each value needs its option, and quotes if it has spaces")
		case o.given[opt.long]:
			return nil, usageError(fmt.Sprintf("%s is given twice", opt.long))
		case opt.boolean != nil && attached:
			return nil, usageError(fmt.Sprintf("%s takes no value", opt.long))
		case opt.boolean != nil:
			*opt.boolean(o) = true
		case !attached && len(args) == 0:
			return nil, usageError(fmt.Sprintf("%s needs a value", opt.long))
		case !attached:
			value, args = args[0], args[1:]
			fallthrough
		default:
			*opt.text(o) = value
		}
		o.given[opt.long] = true
	}
	return o, o.check(allowed)
}

// find gives the option of an argument, and the value if that is attached.
func find(arg string, allowed []string) (opt *option, value string, attached bool) {
	for i, k := range known {
		if k.name != "help" && !slices.Contains(allowed, k.name) {
			continue
		}
		switch long, rest, equals := strings.Cut(arg, "="); {
		case long == k.long:
			return &known[i], rest, equals
		case k.short != "" && arg == k.short:
			return &known[i], "", false
		case k.short != "" && k.boolean == nil && strings.HasPrefix(arg, k.short):
			return &known[i], strings.TrimPrefix(arg[len(k.short):], "="), true
		}
	}
	return nil, "", false
}

// optionName cuts a value off an unknown option.
func optionName(arg string) string {
	if strings.HasPrefix(arg, "--") {
		name, _, _ := strings.Cut(arg, "=")
		return name
	}
	return arg[:2]
}

// check looks at the options together.
func (o *options) check(allowed []string) error {
	switch {
	case o.help:
		return nil
	case o.keyFile == "" && slices.Contains(allowed, "private-key"):
		return usageError("the private key is missing: give its file by -i")
	case o.keyFile == "":
		return usageError("the public key is missing: give its file by -k")
	case o.given["--data"] && o.given["--data-file"]:
		return usageError("--data and --data-file are both given: give one of them")
	case o.given["--data"] && o.keepNewline:
		return usageError("--keep-newline goes with a file or standard input: --data is taken as it is")
	case o.given["--data-file"] && o.dataFile == "":
		return usageError("--data-file needs the name of a file, - for standard input")
	}
	return nil
}
