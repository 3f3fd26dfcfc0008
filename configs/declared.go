package configs

import (
	"lithos/configs/option"
)

// declared is an option of a config that is read into a T, and what becomes of it in
// a container. See "To add an option" in docs/internals.md.
type declared[T any] struct {
	option.Option[T]
	effect
}

// effect is what an option does to a container; the zero value is nothing.
type effect struct {
	// settings are what of the option may tell two instances apart, in words.
	settings func(in *Instance) []setting
	// unseen takes out of a container what no program in it can see: a change of
	// that is no reason to replace it.
	unseen func(c *Container)
	// take gives a container what its sandbox says.
	take func(c *Container, sb *SandboxConfig)
}

// setting is a part of an instance with its effective value in words.
type setting struct{ name, text string }

func tableOf[T any](list []declared[T]) *option.Table[T] {
	options := make([]option.Option[T], len(list))
	for i := range list {
		options[i] = list[i].Option
	}
	return option.NewTable(options...)
}

// of declares an option that no container has.
func of[T, F any](key string, kind option.Kind[F], field func(*T) *F, doc option.Doc) declared[T] {
	return declared[T]{Option: option.Of(key, kind, field, doc)}
}

// described declares an option that is read together with others.
func described[T any](key string, t option.Type, doc option.Doc) declared[T] {
	return declared[T]{Option: option.Described[T](key, t, doc)}
}

// fixed declares an option that is the same in every container made from the file.
func fixed[F any](key string, kind option.Kind[F], field func(*Container) *F, doc option.Doc) declared[template] {
	d := of(key, kind, func(t *template) *F { return field(&t.fixed) }, doc)
	d.settings = shownAs(key, kind.Show, field)
	return d
}

// granted declares an option of a sandbox that each of its containers has.
func granted[F any](key string, kind option.Kind[F], from func(*SandboxConfig) *F, to func(*Container) *F, doc option.Doc) declared[SandboxConfig] {
	d := of(key, kind, from, doc)
	d.settings = shownAs(key, kind.Show, to)
	d.take = func(c *Container, sb *SandboxConfig) { *to(c) = *from(sb) }
	return d
}

// capped declares an option of a sandbox that bounds the container's own.
func capped(key string, kind option.Kind[int64], from func(*SandboxConfig) *int64, to func(*Container) *int64, doc option.Doc) declared[SandboxConfig] {
	d := of(key, kind, from, doc)
	d.take = func(c *Container, sb *SandboxConfig) { *to(c) = lower(*to(c), *from(sb)) }
	return d
}

// shown is an option whose effect is one value of the container.
func (d declared[T]) shown(text func(c *Container) string) declared[T] {
	d.settings = func(in *Instance) []setting { return []setting{{d.Key, text(in.Container)}} }
	return d
}

func shownAs[F any](key string, show func(F) string, field func(*Container) *F) func(*Instance) []setting {
	return func(in *Instance) []setting { return []setting{{key, show(*field(in.Container))}} }
}

// listed is an option whose effect is several values of the container, by names.
func (d declared[T]) listed(settings func(c *Container, key string) []setting) declared[T] {
	d.settings = func(in *Instance) []setting { return settings(in.Container, d.Key+".") }
	return d
}

// hidden is an option of which the container sees nothing but what unseen leaves.
func (d declared[T]) hidden(unseen func(c *Container)) declared[T] {
	d.unseen = unseen
	return d
}

// The options of the four configs.
var (
	masterTable    = tableOf(masterOptions)
	sandboxTable   = tableOf(sandboxOptions)
	processTable   = tableOf(processOptions).Foreign(foreignToProcess)
	containerTable = tableOf(containerOptions).Foreign(foreignToContainer)
)

// effects are those of all options that have one, in the order of a comparison.
var effects = slicesOfEffects()

func slicesOfEffects() []effect {
	var list []effect
	list = appendEffects(list, processOptions)
	list = appendEffects(list, containerOptions)
	list = appendEffects(list, sandboxOptions)
	return appendEffects(list, masterOptions)
}

func appendEffects[T any](to []effect, list []declared[T]) []effect {
	for i := range list {
		if e := list[i].effect; e.settings != nil || e.unseen != nil || e.take != nil {
			to = append(to, e)
		}
	}
	return to
}

// Describe tells of the options of a config, "master", "sandbox", "process" (an
// entry of it) or "container", for configs/reference.
func Describe(config string) []option.Info {
	switch config {
	case "master":
		return masterTable.Infos()
	case "sandbox":
		return sandboxTable.Infos()
	case "process":
		return processTable.Infos()
	}
	return containerTable.Infos()
}
