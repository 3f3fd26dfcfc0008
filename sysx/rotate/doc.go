// Package rotate moves the older part of a file to others, NAME.1, NAME.2 and so
// on, while programs append to it: they hold the descriptor, so the file can be
// neither renamed nor emptied without a loss.
//
// # Crashes
//
// It may be killed at any point. All it knows is on the disk, and what it does
// next follows from that alone, so going on after a crash is what it does anyway:
//
//	           copy lines from the head to NAME.1.new, with an attribute: FROM, TO
//	           rename NAME.2 → NAME.3, NAME.1 → NAME.2, NAME.1.new → NAME.1
//	             (only NAME.1.new is there: it is removed, nothing has happened)
//	             (the same again, if there is more than a part)
//	whole ──── NAME.1, or NAME.2 if there is no NAME.1, has a TO beyond START
//	  │          note: START is that, all before it is dead
//	dead ───── write a random mark over the dead head, fsync
//	  │          note: the mark, and how many BLOCKS go
//	marked ─── the mark is there: take BLOCKS out of the file
//	  │        the mark is not there: they were taken out
//	  │          note: START is smaller by that, BASE larger
//	hole ───── make something harmless of what is left before START, fsync
//	  │          note: done
//	whole
//
// Each note is one attribute of the file, "trusted.rotation", so it is there or
// not, goes with the file, and can't be seen or set by a program. The rename is
// what publishes a part: with it the part's own attribute says what is in it. So
// no line is lost and none is there twice: ..., NAME.2, NAME.1 and the file from
// START on, one after the other, are what was written. A test stops it at each
// step, and the going on from there at each step again.
//
// Blocks are taken out by FALLOC_FL_COLLAPSE_RANGE (ext4, XFS, f2fs), which
// programs that append don't notice; what is left of the head, less than a block,
// becomes one line of ours. Where the file system can't do that the dead head
// becomes a hole (FALLOC_FL_PUNCH_HOLE: tmpfs, btrfs): the file's length grows on,
// what it takes on the disk does not. Where it can do neither, or keeps no
// attributes, there is an error and the file is left as it is.
//
// All is synced before what depends on it, so that a power failure costs what it
// costs without rotation: what was not on the disk yet. On XFS a collapse is many
// transactions, and a power failure within it may leave it half done.
//
// # Offsets
//
// Offsets of others in the file move when blocks are taken out. [End] and [Read]
// use offsets that don't: they count all that was ever written, BASE being what was
// taken out. They find what was rotated in its part.
//
// # Choices
//
// A line that is longer than twice what a part may have is cut. If somebody else
// empties the file (logrotate's copytruncate), it begins anew; whether somebody did
// is seen by its length and by the line of ours at its head. Who may write into the
// file at other places than its end, as a program may that takes O_APPEND off its
// descriptor, can spoil the file, as ever, and nothing else. Links are not followed.
//
// What belongs here: one file. What does not: when, how large, who wrote it.
package rotate
