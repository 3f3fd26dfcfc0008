#include "textflag.h"

// func prlimit(old *[2]uint64) (errno uintptr)
TEXT ·prlimit(SB),NOSPLIT,$0-16
	MOVQ	$0, DI
	MOVQ	$7, SI	// RLIMIT_NOFILE
	MOVQ	$0, DX
	MOVQ	old+0(FP), R10
	MOVQ	$302, AX	// prlimit64
	SYSCALL
	NEGQ	AX
	MOVQ	AX, errno+8(FP)
	RET
