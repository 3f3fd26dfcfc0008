package cgroup

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DeviceLimit is the most that a group may do to a block device, a second; 0 =
// no limit. Version 1 counts only what goes to the device at once: reads, and
// writes that pass by the page cache.
type DeviceLimit struct {
	Device                string // path of a block device
	ReadBytes, WriteBytes uint64
	ReadOps, WriteOps     uint64
}

// rates are the four limits by the names that the versions have for them.
func (l *DeviceLimit) rates() [4]rate {
	return [4]rate{
		{"blkio.throttle.read_bps_device", "rbps", l.ReadBytes},
		{"blkio.throttle.write_bps_device", "wbps", l.WriteBytes},
		{"blkio.throttle.read_iops_device", "riops", l.ReadOps},
		{"blkio.throttle.write_iops_device", "wiops", l.WriteOps},
	}
}

type rate struct {
	v1, v2 string
	value  uint64
}

// setIO sets the limits of the devices and takes back those of others.
func (g Group) setIO(limits []DeviceLimit) []error {
	b, err := g.ioBranch()
	if err != nil {
		if len(limits) == 0 {
			return nil
		}
		return []error{fmt.Errorf("the limits of devices are not enforced: %w", err)}
	}
	dir := path.Join(b.dir, g.name)
	numbers := map[string]bool{}
	var errs []error
	for i := range limits {
		l := &limits[i]
		number, err := g.t.k.device(l.Device)
		if err == nil {
			numbers[number] = true
			err = g.setDevice(b, dir, number, l)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the limits of the device %s are not enforced: %w", l.Device, err))
		}
	}
	g.forgetDevices(b, dir, numbers)
	return errs
}

// ioBranch: the controller has a name of each version.
func (g Group) ioBranch() (branch, error) {
	if b, err := g.t.branch("io"); err == nil {
		return b, nil
	}
	return g.t.branch("blkio")
}

func (g Group) setDevice(b branch, dir, number string, l *DeviceLimit) error {
	if b.v2 {
		return g.setDeviceV2(path.Join(dir, "io.max"), number, l)
	}
	for _, r := range l.rates() {
		file := path.Join(dir, r.v1)
		text, err := g.t.k.read(file)
		if err != nil {
			if r.value == 0 {
				continue
			}
			return err
		}
		if got := deviceLine(text, number); r.value == 0 && got == "" {
			continue
		}
		value := strconv.FormatUint(r.value, 10)
		if err := g.t.k.write(file, number+" "+value); err != nil {
			return err
		}
		text, err = g.t.k.read(file)
		if err != nil {
			return err
		}
		if got := deviceLine(text, number); got != value && !(r.value == 0 && got == "") {
			return fmt.Errorf("%s is %q afterwards", file, got)
		}
	}
	return nil
}

func (g Group) setDeviceV2(file, number string, l *DeviceLimit) error {
	line := number
	for _, r := range l.rates() {
		value := "max"
		if r.value != 0 {
			value = strconv.FormatUint(r.value, 10)
		}
		line += " " + r.v2 + "=" + value
	}
	if err := g.t.k.write(file, line); err != nil {
		return err
	}
	text, err := g.t.k.read(file)
	if err != nil {
		return err
	}
	if got := deviceLine(text, number); number+" "+got != line {
		return fmt.Errorf("%s is %q afterwards", file, got)
	}
	return nil
}

// deviceLine returns the line of a device in a file with a line for each.
func deviceLine(text, number string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), number+" "); ok {
			return rest
		}
	}
	return ""
}

// forgetDevices takes the limits of all devices back that are not in numbers,
// as well as it can: a device may be gone.
func (g Group) forgetDevices(b branch, dir string, numbers map[string]bool) {
	var none DeviceLimit
	files := []string{"io.max"}
	if !b.v2 {
		files = files[:0]
		for _, r := range none.rates() {
			files = append(files, r.v1)
		}
	}
	for _, name := range files {
		text, err := g.t.k.read(path.Join(dir, name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if number, _, ok := strings.Cut(line, " "); ok && !numbers[number] {
				_ = g.setDevice(b, dir, number, &none)
			}
		}
	}
}

// device finds the whole disk in sysfs: the kernel limits no partitions.
func device(name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", fmt.Errorf("it is no block device")
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	dir, err := filepath.EvalSymlinks("/sys/dev/block/" + number)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err != nil {
		return number, nil
	}
	disk, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "dev"))
	return strings.TrimSpace(string(disk)), err
}
