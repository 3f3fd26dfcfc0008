#include "textflag.h"

// lithosKnotEntry is where the program begins when it is linked with
// -ldflags=-E=lithosKnotEntry, see bare.go. The kernel has left argc at 0(SP);
// nothing of Go's runtime is there yet. What compiled Go code takes for granted
// is pretended: thread-local storage with a g in it, whose stack guard is 0 so
// that no stack is ever too small.
TEXT lithosKnotEntry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, BX
	MOVQ	BX, ·bareStack(SB)
	LEAQ	·bareTLS+8(SB), SI
	LEAQ	·bareG(SB), AX
	MOVQ	AX, -8(SI)
	MOVQ	$0x1002, DI	// ARCH_SET_FS
	MOVQ	$158, AX	// arch_prctl
	SYSCALL
	ANDQ	$~4095, SP	// on pages of its own, see bareForget
	SUBQ	$32, SP
	MOVQ	BX, 16(SP)
	CALL	·bareMain(SB)
	MOVQ	0(SP), DI
	MOVQ	16(SP), SP
	TESTQ	DI, DI
	JLT	general
	MOVQ	$231, AX	// exit_group
	SYSCALL
general:
	JMP	_rt0_amd64_linux(SB)

// func bareVfork(args, size uintptr) (pid, errno uintptr)
//
// As forkexec's rawVfork, see there; it has to be in the package of its caller.
TEXT ·bareVfork(SB),NOSPLIT|NOFRAME,$0-32
	MOVQ	args+0(FP), DI
	MOVQ	size+8(FP), SI
	MOVQ	$435, AX	// clone3
	POPQ	R12
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JLS	ok
	MOVQ	$-1, pid+16(FP)
	NEGQ	AX
	MOVQ	AX, errno+24(FP)
	RET
ok:
	MOVQ	AX, pid+16(FP)
	MOVQ	$0, errno+24(FP)
	RET

// func bareData() (begin, end uintptr)
//
// The linker says where they are.
TEXT ·bareData(SB),NOSPLIT,$0-16
	LEAQ	runtime·noptrdata(SB), AX
	MOVQ	AX, begin+0(FP)
	LEAQ	runtime·end(SB), AX
	MOVQ	AX, end+8(FP)
	RET

GLOBL ·bareTLS(SB), NOPTR, $16
GLOBL ·bareG(SB), NOPTR, $1024
