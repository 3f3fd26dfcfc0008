#include "textflag.h"

// func rawVfork(args, size uintptr) (pid, errno uintptr)
//
// The child returns first and reuses the stack below, so that the return
// address would be gone when the parent resumes: it is kept in a register.
// There is no frame, and Go calls it without an ABI wrapper (whose frame the
// child would overwrite) because it is in the caller's package.
TEXT ·rawVfork(SB),NOSPLIT|NOFRAME,$0-32
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

// func rawHold(args, size, wait uintptr) (pid, errno uintptr)
//
// The child touches no memory but what wait points to: the parent uses the
// same stack at the same time.
TEXT ·rawHold(SB),NOSPLIT|NOFRAME,$0-40
	MOVQ	args+0(FP), DI
	MOVQ	size+8(FP), SI
	MOVQ	wait+16(FP), R12
	MOVQ	$435, AX	// clone3
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	CMPQ	AX, $0xfffffffffffff001
	JLS	ok
	MOVQ	$-1, pid+24(FP)
	NEGQ	AX
	MOVQ	AX, errno+32(FP)
	RET
ok:
	MOVQ	AX, pid+24(FP)
	MOVQ	$0, errno+32(FP)
	RET
child:
	XORL	DI, DI
	XORL	SI, SI
	MOVQ	R12, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVQ	$271, AX	// ppoll
	SYSCALL
	XORL	DI, DI
	MOVQ	$231, AX	// exit_group
	SYSCALL
	JMP	child
