package knot

import (
	"errors"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
)

const (
	stateMode  = 0o1777 // the container's users may write there
	parentMode = 0o755
	fileMode   = 0o644
)

// makeStateDir recreates the state dir, with resolv.conf and hosts in it. It
// was writable for the container that had it before.
func (r *recipe) makeStateDir() {
	path := r.spec.StateDir
	r.step("cannot clear the state dir")
	r.removeAll(path)
	r.step("cannot make the state dir ", path)
	r.state = r.makeDir(host, path, inroot.Owner{Mode: stateMode})
	r.makeResolvConf()
	r.makeHosts()
}

// makeResolvConf makes what is to be mounted, or what the image's symbolic link
// to the state dir leads to.
func (r *recipe) makeResolvConf() {
	c := &r.spec.ResolvConf
	if c.Source == "" && c.Mount != wire.MountAlways {
		return
	}
	defer r.closeFrom(r.opened())
	f := r.createInState("resolv.conf")
	if c.Source != "" {
		r.step("cannot copy ", c.Source, " for the container's resolv.conf")
		r.copyFile(f, c.Source, false)
	}
}

func (r *recipe) makeHosts() {
	h := &r.spec.Hosts
	r.haveHosts = h.Source != "" || h.Localhost || h.PublicHostname || len(h.Additional) != 0 || h.Mount == wire.MountAlways
	if !r.haveHosts {
		return
	}
	defer r.closeFrom(r.opened())
	f := r.createInState("hosts")
	if h.Source != "" {
		r.step("cannot copy ", h.Source, " for the container's hosts file")
		r.copyFile(f, h.Source, true)
	}
	r.step("cannot write the container's hosts file")
	r.write(f, HostsLines(h))
}

// createInState makes a file in the still empty state dir.
func (r *recipe) createInState(name string) handle {
	r.step("cannot make ", r.spec.StateDir, "/", name)
	f := r.open(r.state, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, fileMode)
	r.chmod(f, fileMode)
	return f
}

// mountEtc mounts a file of the state dir over one of the image in /etc, or of a
// volume mounted there. Links are left alone: they are how an image refers to
// files in a Statedir. made tells whether there is something to replace the
// image's file with.
func (r *recipe) mountEtc(name string, made bool, how wire.Mount) {
	if how == wire.MountNever || how == wire.MountAuto && !made {
		return
	}
	defer r.closeFrom(r.opened())
	r.step("cannot mount the made ", name, " on ", r.spec.MountDir, "/etc/", name)
	etc := r.open(r.root, "etc", unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	noDir := r.mayLack(how)
	target := r.open(etc, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	noFile := r.mayLack(how)
	r.kind(target, regular)
	otherKind := r.mayLack(how)
	tree := r.clone(r.openIn(r.state, name, nil), false)
	r.setAttr(tree, volumeAttr, 0, false)
	r.move(tree, target)
	r.until(noDir)
	r.until(noFile)
	r.until(otherKind)
}

// notInEtc are the errors of an image without a regular file to mount on.
var notInEtc = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EINVAL}

// mayLack is may for these, unless the file has to be mounted.
func (r *recipe) mayLack(how wire.Mount) (mark int) {
	if how == wire.MountAuto {
		return r.may(notInEtc)
	}
	for _, errno := range notInEtc {
		if r.failed(errno) {
			r.amend(errors.New("/etc must be a directory with a regular file of that name, no symbolic links (image " +
				r.spec.Image + "); put one there, or don't set mount to true"))
		}
	}
	return noMark
}
