// Package rotate moves the older part of a file to others, NAME.1, NAME.2 and so
// on, while programs append to it: they hold the descriptor, so the file can be
// neither renamed nor emptied without a loss.
//
// # Crashes
//
// It may be killed at any point. All of its state is on the disk and determines
// the next step, so that recovery is the ordinary path:
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
//	hole ───── overwrite the rest before START with filler, fsync
//	  │          note: done
//	whole
//
// Each note is one attribute of the file, "trusted.rotation": it is set
// atomically, moves with the file, and no program can see or set it. The rename
// publishes a part, whose own attribute says which bytes it has. So no line is
// lost or duplicated: NAME.2, NAME.1 and the file from START on are the whole
// text. A test stops the rotation at each step, and the recovery at each step
// again.
//
// FALLOC_FL_COLLAPSE_RANGE (ext4, XFS, f2fs) removes the blocks, which appending
// programs do not notice. The rest of the head, less than a block, becomes a line
// of filler. Other file systems (tmpfs, btrfs) make a hole of the head by
// FALLOC_FL_PUNCH_HOLE: the file keeps its length and frees its blocks. A file
// system with neither, or without attributes, gives an error and an unchanged
// file.
//
// Each step is synced before the next, so that a power failure loses no more than
// without rotation. On XFS a collapse takes many transactions, and a power
// failure may interrupt it.
//
// # Offsets
//
// Removed blocks shift the offsets of other readers. [End] and [Read] use stable
// offsets: they count every byte ever written, where BASE is the number of
// removed ones, and find rotated bytes in their part.
//
// # Choices
//
// A line longer than two parts is cut. If somebody else empties the file
// (logrotate's copytruncate), rotation starts over; it recognises that by the
// length and by the filler at the head. A program that clears O_APPEND of its
// descriptor can spoil the file, and nothing else. Links are not followed.
//
// Scope: one file. Out of scope: when to rotate, the sizes, the writers.
package rotate
