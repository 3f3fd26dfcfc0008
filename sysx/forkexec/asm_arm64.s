#include "textflag.h"

// func rawVfork(args, size uintptr) (pid, errno uintptr)
//
// The return address stays in the link register of each of the two.
TEXT ·rawVfork(SB),NOSPLIT|NOFRAME,$0-32
	MOVD	args+0(FP), R0
	MOVD	size+8(FP), R1
	MOVD	$435, R8	// clone3
	SVC
	CMN	$4095, R0
	BCC	ok
	MOVD	$-1, R4
	MOVD	R4, pid+16(FP)
	NEG	R0, R0
	MOVD	R0, errno+24(FP)
	RET
ok:
	MOVD	R0, pid+16(FP)
	MOVD	ZR, errno+24(FP)
	RET

// func rawHold(args, size, wait uintptr) (pid, errno uintptr)
//
// The child touches no memory but what wait points to: the parent uses the
// same stack at the same time.
TEXT ·rawHold(SB),NOSPLIT|NOFRAME,$0-40
	MOVD	args+0(FP), R0
	MOVD	size+8(FP), R1
	MOVD	wait+16(FP), R9
	MOVD	$435, R8	// clone3
	SVC
	CBZ	R0, child
	CMN	$4095, R0
	BCC	ok
	MOVD	$-1, R4
	MOVD	R4, pid+24(FP)
	NEG	R0, R0
	MOVD	R0, errno+32(FP)
	RET
ok:
	MOVD	R0, pid+24(FP)
	MOVD	ZR, errno+32(FP)
	RET
child:
	MOVD	$0, R0
	MOVD	$0, R1
	MOVD	R9, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$73, R8	// ppoll
	SVC
	MOVD	$0, R0
	MOVD	$94, R8	// exit_group
	SVC
	B	child
