package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/cmd/internal/setup"
	"lithos/configs"
	"lithos/configs/document"
	"lithos/spawn/enter"
	"lithos/spawn/records"
)

// patience is how long the daemon may take to say why something does not run.
const patience = 3 * time.Second

// containerName is the form of a path below the directory of records.
var containerName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*/[0-9A-Za-z_.-]+$`)

// find gives the container that a name means. The error says which there are.
func find(m *configs.Master, name string) (string, *records.Record, error) {
	dir := setup.RecordsDir(m)
	if _, err := os.ReadDir(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("cannot look for containers: %w", err)
	}
	running := map[string]*records.Record{}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.*"))
	for _, file := range files {
		found, err := filepath.Rel(dir, file)
		if err != nil || !containerName.MatchString(found) {
			continue
		}
		if record, err := records.Read(file); err == nil && enter.Alive(record) {
			running[found] = record
		}
	}
	if record := running[name]; record != nil {
		return name, record, nil
	}
	var meant []string
	for found := range running {
		if configs.ParseInstanceName(found).Group() == name {
			meant = append(meant, found)
		}
	}
	slices.SortFunc(meant, configs.CompareNames)
	switch {
	case len(meant) == 1:
		return meant[0], running[meant[0]], nil
	case len(meant) > 1:
		return "", nil, fmt.Errorf("%s has %d instances that run, name one of them: %s", name, len(meant), few(meant))
	}
	return "", nil, missing(m, name, running)
}

// few is a list that is not too long for a sentence.
func few(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// missing says why there is nothing to enter.
func missing(m *configs.Master, name string, running map[string]*records.Record) error {
	var names []string
	for found := range running {
		names = append(names, found)
	}
	for _, in := range ask(m) {
		if in.Name == name || configs.ParseInstanceName(in.Name).Group() == name {
			return fmt.Errorf("%s does not run: %s; lithos_ps --why %s tells more", in.Name, in.Words, in.Name)
		}
		names = append(names, in.Name)
	}
	slices.SortFunc(names, configs.CompareNames)
	names = slices.Compact(names)
	inside := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasPrefix(n, name+"/") })
	switch meant := suggest(name, names); {
	case len(inside) > 0:
		return fmt.Errorf("%s is a sandbox, name one of its containers: %s", name, few(inside))
	case meant != "":
		return fmt.Errorf("there is no container %q, did you mean %s?", name, meant)
	case len(names) == 0:
		return fmt.Errorf("there is no container %q; nothing runs by %s", name, m.File)
	}
	return fmt.Errorf("there is no container %q; there are: %s", name, few(names))
}

// suggest is the container or the process that was probably meant.
func suggest(name string, names []string) string {
	candidates := slices.Clone(names)
	for _, n := range names {
		candidates = append(candidates, configs.ParseInstanceName(n).Group())
	}
	slices.Sort(candidates)
	return document.Suggest(name, slices.Compact(candidates))
}

// ask asks the daemon for the configured instances; none if it does not answer.
func ask(m *configs.Master) []api.Instance {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := api.NewClient(filepath.Join(m.RuntimeDir, api.SocketName))
	defer client.Close()
	list, err := client.Instances(ctx, "", false)
	if err != nil {
		return nil
	}
	return list.Instances
}
