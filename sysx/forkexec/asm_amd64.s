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
