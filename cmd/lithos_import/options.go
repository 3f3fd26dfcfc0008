package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lithos/cmd/internal/cli"
)

type options struct {
	source     string
	imageDir   string
	name       string
	reference  string
	platform   platform
	configName string
	configFile string
	maxSize    int64
	plainHTTP  bool
	keepSetuid bool
	fresh      bool
	json       bool
	quiet      bool
}

const help = `Usage: lithos_import [--image-dir DIR] [--name NAME] [OPTIONS] SOURCE

Turns an image of other tools into an image directory of lithos, and makes a
container config from what the image says of itself. Prints its name, which is
what a process config has in "image".

SOURCE is one of
  the name of an image in a registry: docker.io/library/nginx:1.27, also
  docker://nginx:1.27. Credentials are those of docker login
  a tar of "docker save" or "podman save", also compressed by gzip or zstd
  a tar of an OCI layout, also compressed
  a directory with an OCI layout, as of "skopeo copy docker://… oci:DIR", or
  as of "skopeo copy docker://… dir:DIR"
  -, a tar of either from standard input: docker save web:3 | lithos_import -

Options:
      --image-dir DIR      where it goes: image-dir of the sandbox (default
                           /var/lib/lithos/containers)
      --name NAME          name of the directory below image-dir, such as web.v3,
                           or web/v3 where image-dir-levels is 2. The default is
                           sha256-DIGEST, by the digest of the image's config
      --reference NAME     which image, if there are several: nginx:1.27, or the
                           digest of its manifest or config, sha256:…
      --platform OS/ARCH   which one of an image for several machines (default
                           that of this machine): linux/arm64, linux/arm/v7
      --config-name NAME   the container config is /config/NAME.yaml in the image
                           (default image)
      --config FILE        take this container config, make none; the default
                           name then gets its digest, too
      --plain-http         ask the registry without TLS, as one on localhost always
      --max-size SIZE      refuse images of more bytes, unpacked (default 32Gi)
      --keep-setuid        keep set-user-id bits and file capabilities. Who can
                           read the image-dir can use them on the host
      --begin-anew         don't go on with what an interrupted run left
      --json               print one JSON object instead of text
  -q, --quiet              no progress, also on a terminal
      --version            print the version
      --help               print this

All layers are verified by their digests. An interrupted import goes on with the
next layer when it is started again. The directory gets its name when everything
is on the disk; one that is there already is never changed.

To begin:
  lithos_import --name nginx.1.27 docker.io/library/nginx:1.27
  lithos_check --check-container /var/lib/lithos/containers/nginx.1.27/config/image.yaml

Exit codes: 0 done, or there already; 1 it failed; 2 wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{maxSize: 32 << 30}
	set := cli.For(cli.Program{Name: "lithos_import", Version: version, Help: help, Wrong: exitUsage})
	set.StringVar(&o.imageDir, "image-dir", "/var/lib/lithos/containers", "")
	set.StringVar(&o.name, "name", "", "")
	set.StringVar(&o.reference, "reference", "", "")
	o.platform = hostPlatform()
	set.Func("platform", "", func(s string) (err error) {
		o.platform, err = parsePlatform(s)
		return err
	})
	set.StringVar(&o.configName, "config-name", "image", "")
	set.StringVar(&o.configFile, "config", "", "")
	set.Func("max-size", "", func(s string) (err error) {
		o.maxSize, err = parseSize(s)
		return err
	})
	set.BoolVar(&o.plainHTTP, "plain-http", false, "")
	set.BoolVar(&o.keepSetuid, "keep-setuid", false, "")
	set.BoolVar(&o.fresh, "begin-anew", false, "")
	set.BoolVar(&o.json, "json", false, "")
	set.BoolVarP(&o.quiet, "quiet", "q", false, "")
	code, done = set.Parse(args, stdout, stderr, o.take)
	return o, code, done
}

// take takes the arguments that are no options.
func (o *options) take(words []string) error {
	switch len(words) {
	case 0:
		return errors.New("the source is missing: an image in a registry, a tar of docker save, an OCI layout, or -")
	case 1:
		o.source = words[0]
		return o.check()
	}
	return fmt.Errorf("one source at a time: %q and %q are given", words[0], words[1])
}

func (o *options) check() error {
	if o.name != "" {
		if err := checkName(o.name); err != nil {
			return err
		}
	}
	if o.configName == "" || strings.ContainsAny(o.configName, "/\x00") || o.configName[0] == '.' {
		return fmt.Errorf("--config-name %q is no name of a file", o.configName)
	}
	var err error
	o.imageDir, err = filepath.Abs(o.imageDir)
	return err
}

// parseSize reads a number of bytes with the units of configs.
func parseSize(s string) (int64, error) {
	factor := int64(1)
	for _, u := range []struct {
		suffix string
		factor int64
	}{{"ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = rest, u.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > (1<<62)/factor {
		return 0, errors.New("not a size such as 500Mi or 32Gi")
	}
	return n * factor, nil
}

// ownConfig is the file of --config.
type ownConfig struct {
	text   string
	given  bool
	suffix string // of the image's default name
}

const maxConfig = 1 << 20 // as configs takes it

// ownConfig reads the file. opts describe all that changes the outcome.
func (o *options) ownConfig() (own ownConfig, opts string, err error) {
	if o.keepSetuid {
		opts = "keep-setuid"
		own.suffix = "-setuid"
	}
	if o.configFile == "" {
		return own, opts, nil
	}
	data, err := os.ReadFile(o.configFile)
	if err != nil {
		return own, "", err
	}
	if len(data) > maxConfig {
		return own, "", fmt.Errorf("%s has more than %d bytes", o.configFile, maxConfig)
	}
	sum := sha256.Sum256(append(data, o.configName...))
	digest := hex.EncodeToString(sum[:])
	own.text, own.given = string(data), true
	own.suffix += "-" + digest[:12]
	return own, strings.TrimPrefix(opts+" config "+digest, " "), nil
}
