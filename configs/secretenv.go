package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"lithos/configs/document"
	"lithos/configs/option"
	"lithos/configs/secrets"
)

// secretEnviron is a sealed value or a list of them by name. They are not opened
// here.
var secretEnviron = option.Kind[[]sourced[SecretVar]]{
	Type: option.Mapping("from a name to a sealed value, or a list of them", option.Type{
		Schema: option.AnyOf(`{"type": "string"}`, `{"type": "array", "items": {"type": "string"}}`)}),
	Read: func(v document.Value, _ []sourced[SecretVar]) []sourced[SecretVar] { return readSecrets(v) },
}

// showSecrets tells one secret from another by its hash.
func showSecrets(c *Container, key string) (list []setting) {
	for _, s := range c.SecretEnviron {
		text := words(s.Values)
		if s.Hash != "" {
			text = "the secret with the hash " + s.Hash
		}
		list = append(list, setting{key + s.Name, text})
	}
	return list
}

// forgetSeals: of secrets it is what they are that counts, not how they are sealed.
func forgetSeals(c *Container) {
	sealed := c.SecretEnviron
	c.SecretEnviron = nil
	for _, s := range sealed {
		if s.Hash != "" {
			s.Values = nil
		}
		c.SecretEnviron = append(c.SecretEnviron, s)
	}
}

func readSecrets(v document.Value) []sourced[SecretVar] {
	list, _ := v.Entries()
	var vars []sourced[SecretVar]
	for _, e := range list {
		if !checkEnvName(e) {
			continue
		}
		if e.Name == "LITHOS_NAME" || e.Name == "LITHOS_CONFIG" {
			e.Warnf("%s is always set by lithos itself, this secret is not used", e.Name)
			continue
		}
		values := []document.Value{e.Value}
		if e.Value.IsList() {
			values, _ = e.Value.Items()
			if len(values) == 0 {
				e.Errorf("the list has no value")
			}
		}
		sv := SecretVar{Name: e.Name}
		for _, item := range values {
			s, ok := item.Text()
			if !ok {
				continue
			}
			if _, err := secrets.ParseValue(s); err != nil {
				item.Collector().ErrorHiding(item.Place(), "%s", err)
				continue
			}
			sv.Values = append(sv.Values, s)
		}
		vars = append(vars, sourced[SecretVar]{sv, e.KeyPlace()})
	}
	return sortedBy(vars, func(s sourced[SecretVar]) string { return s.value.Name })
}

// checkSecretNames holds the rules between environ, secret-environ and
// secret-environ-file (requirement E11).
func checkSecretNames(o *document.Object, t *template) {
	if len(t.secretEnviron) > 0 && t.fixed.SecretEnvironFile != "" {
		o.Get("secret-environ-file").Errorf("conflicts with secret-environ: give one of them")
	}
	t.warnShadowed(o.Collector(), "secret-environ")
}

// warnShadowed: of a name in both, the secret wins.
func (t *template) warnShadowed(c *document.Collector, where string) {
	for _, e := range t.environ {
		if t.secret(e.value.Name) {
			c.WarnAt(e.at, "%s is in %s too, which wins", e.value.Name, where)
		}
	}
}

// secret tells whether a variable is one of the secrets.
func (t *template) secret(name string) bool {
	return slices.ContainsFunc(t.secretEnviron, func(s sourced[SecretVar]) bool { return s.value.Name == name })
}

// secretFile resolves secret-environ-file inside the image: a relative path is
// relative to the config's own directory (requirement J7).
func secretFile(file, config string) string {
	if file == "" || path.IsAbs(file) {
		return file
	}
	return path.Join(path.Dir(config), file)
}

// readSecretFile reads secret-environ-file, with the image as the root: a
// mapping as secret-environ is one (requirement J7).
func (l *loader) readSecretFile(t *template, imageDir, image, config string) {
	inConfig := &document.Collector{File: t.file, Text: t.text}
	dir, file := path.Join(imageDir, image), secretFile(t.fixed.SecretEnvironFile, config)
	found := l.read(ImageFile{imageDir, image, file})
	why := found.ImageError + found.FileError // one of them at most
	if why != "" {
		inConfig.ErrorAt(t.At("secret-environ-file"), "cannot read %s in the image %s: %s", document.Clip(file), dir, why)
	}
	data := found.Text
	t.secretsFile = path.Join(dir, file)
	c := &document.Collector{File: t.secretsFile, Text: l.quotable(data)}
	if why == "" {
		if root, ok := document.Parse(c, data); ok {
			t.secretEnviron = readSecrets(root)
		}
	}
	if len(t.activated()) > 0 {
		for _, s := range t.secretEnviron {
			if slices.Contains(activationVariables, s.value.Name) {
				c.ErrorAt(s.at, "is set by `activation: systemd`, it must not be given")
			}
		}
	}
	if t.ready != nil && t.ready.Kind == CheckNotify {
		for _, s := range t.secretEnviron {
			t.refuseNotifyVariable(c, s.value.Name, s.at)
		}
	}
	t.warnShadowed(inConfig, "secret-environ-file")
	t.problems = slices.Concat(t.problems, inConfig.List, c.List)
	t.broken = t.broken || inConfig.Broken() || c.Broken()
}

// keyRing are the keys of one file, read once.
type keyRing struct {
	keys []*secrets.PrivateKey
	err  error
}

// keys reads a secrets-private-key; none without one.
func (l *loader) keys(file string) keyRing {
	ring, ok := l.rings[file]
	if !ok && file != "" {
		ring.keys, ring.err = secrets.ReadPrivateKeys(file)
		l.rings[file] = ring
	}
	return ring
}

// forgetKeys wipes them.
func (l *loader) forgetKeys() {
	for _, ring := range l.rings {
		wipeKeys(ring.keys)
	}
}

func wipeKeys(keys []*secrets.PrivateKey) {
	for _, k := range keys {
		k.Wipe()
	}
}

// resolveSecrets decrypts each secret, to find errors and changes, and forgets
// it. A start decrypts it again: meanwhile only the sealed text is in memory. A
// user who may not read the key, such as one of lithos_check, cannot know.
func (r *resolver) resolveSecrets(keys func(file string) keyRing) {
	if len(r.t.secretEnviron) == 0 {
		return
	}
	r.base.SecretsPrivateKey = r.sb.SecretsPrivateKey
	r.base.SecretsNamespaces = slices.Concat(r.sb.SecretsNamespaces, r.cfg.ExtraSecretsNamespaces)
	r.base.SecretEnviron = nil
	ring := keys(r.sb.SecretsPrivateKey)
	switch {
	case errors.Is(ring.err, fs.ErrPermission):
		r.inSecrets.WarnAt(r.t.secretEnviron[0].at, "whether the secrets can be opened is not known: %s", ring.err)
	case ring.err != nil:
		r.inSecrets.ErrorAt(r.t.secretEnviron[0].at, "%s", ring.err)
	}
	for _, s := range r.t.secretEnviron {
		v := s.value
		if ring.err == nil && len(v.Values) > 0 {
			secret, err := secrets.Open(ring.keys, r.base.SecretsNamespaces, v.Values)
			if err != nil {
				r.inSecrets.ErrorAt(s.at, "%s", err)
			}
			v.Hash = secrets.ShortHash(secret.Reveal()).String()
			r.secretSizes = append(r.secretSizes, len(v.Name)+len(secret.Reveal())+2)
			secret.Wipe()
		}
		r.base.SecretEnviron = append(r.base.SecretEnviron, v)
	}
}

// OpenedSecret is a variable whose value must not be shown.
type OpenedSecret struct {
	Name  string
	Value secrets.Secret
}

// OpenSecrets opens the secrets of a container for one start. The caller wipes
// them; an error tells of the first variable that can't be opened.
func (c *Container) OpenSecrets() ([]OpenedSecret, error) {
	if len(c.SecretEnviron) == 0 {
		return nil, nil
	}
	var ring keyRing
	if c.SecretsPrivateKey != "" {
		ring.keys, ring.err = secrets.ReadPrivateKeys(c.SecretsPrivateKey)
	}
	if ring.err != nil {
		return nil, ring.err
	}
	defer wipeKeys(ring.keys)
	opened := make([]OpenedSecret, 0, len(c.SecretEnviron))
	for _, v := range c.SecretEnviron {
		s, err := secrets.Open(ring.keys, c.SecretsNamespaces, v.Values)
		if err != nil {
			for _, o := range opened {
				o.Value.Wipe()
			}
			return nil, fmt.Errorf("secret-environ.%s: %w", v.Name, err)
		}
		opened = append(opened, OpenedSecret{v.Name, s})
	}
	return opened, nil
}
