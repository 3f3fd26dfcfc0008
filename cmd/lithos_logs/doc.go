// Command lithos_logs shows the output of programs, with the starts and deaths
// between: the files SANDBOX.log in stdio-log-dir. It needs no daemon and changes
// nothing.
//
// # What was chosen where the manual is silent
//
//   - A log is read by the offsets of package rotate, so that a rotation neither
//     loses nor repeats a line.
//   - A line has a time if it begins with one that names its zone. Any other line is
//     as late as the last line with a time before it. So --since never hides a line
//     that may belong to the output asked for.
//   - All processes of a sandbox write to one file, and a line does not say whose
//     it is. With the name of a process or an instance, the starts and deaths of
//     others are left out, and standard error says what can't be.
//   - The cause of a death is that of the death record.
//   - Output is taken as hostile: on a terminal it moves no cursor.
package main
