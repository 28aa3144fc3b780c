"""Classes of instructions, against code that the assemblers make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.errors import TargetError
from edgeflow.profiling.classes import Op, classify, describe

LOADS, STORES = Op.LOAD_MULTIPLE, Op.STORE_MULTIPLE

# loads are kept apart where they are not to be LOAD_NEXT
M4 = [
    ("adds r0, r1, r2", Op.ALU),
    ("movw r0, #1234", Op.ALU),
    ("nop", Op.ALU),
    ("it eq", Op.ALU),
    ("moveq r0, #1", Op.ALU),
    ("mul r0, r1, r2", Op.MUL),
    ("smmulr r0, r1, r2", Op.MUL),
    ("smull r0, r1, r2, r3", Op.MUL_LONG),
    ("smulbb r0, r1, r2", Op.MUL),
    ("mla r0, r1, r2, r3", Op.MAC),
    ("mls r0, r1, r2, r3", Op.MAC),
    ("smlad r0, r1, r2, r3", Op.MAC),
    ("smlabt r0, r1, r2, r3", Op.MAC),
    ("smlal r0, r1, r2, r3", Op.MAC_LONG),
    ("smmlar r0, r1, r2, r3", Op.MAC),
    ("umaal r0, r1, r2, r3", Op.MAC_LONG),
    ("smlald r0, r1, r2, r3", Op.MAC),
    ("sdiv r0, r1, r2", Op.DIV),
    ("udiv r0, r1, r2", Op.DIV),
    ("sxtb16 r0, r1", Op.SIMD),
    ("sxtb16 r0, r1, ror #8", Op.SIMD),
    ("pkhbt r0, r1, r2, lsl #16", Op.SIMD),
    ("sadd16 r0, r1, r2", Op.SIMD),
    ("qadd r0, r1, r2", Op.SIMD),
    ("ssat r0, #16, r1", Op.ALU),
    ("sxtb r0, r1", Op.ALU),
    ("ldr r0, [r1, #4]", Op.LOAD),
    ("ldrsb r0, [r1, #4]", Op.LOAD_NEXT),
    ("str r0, [r1]", Op.STORE),
    ("ldrh r0, [r1]", Op.LOAD),
    ("nop", Op.ALU),
    ("ldrd r0, r1, [r2]", LOADS + 2),
    ("strd r0, r1, [r2], #8", STORES + 2),
    ("ldmia r0!, {r4-r7, r10}", LOADS + 5),
    ("stmia r0!, {r4, r5}", STORES + 2),
    ("push {r4-r11, lr}", STORES + 9),
    ("pop {r4, pc}", LOADS + 2),
    ("b .", Op.BRANCH),
    ("beq .", Op.BRANCH),
    ("cbz r0, .+4", Op.BRANCH),
    ("bl .", Op.CALL),
    ("blx r3", Op.CALL),
    ("bx lr", Op.RETURN),
    ("tbb [pc, r0]", Op.TABLE_BRANCH),
    ("dsb", Op.OTHER),
    ("mrs r0, primask", Op.OTHER),
    ("vadd.f32 s0, s1, s2", Op.FP_ALU),
    ("vcvt.s32.f32 s0, s1", Op.FP_ALU),
    ("vmul.f32 s0, s1, s2", Op.FP_MUL),
    ("vfma.f32 s0, s1, s2", Op.FP_MAC),
    ("vmla.f32 s0, s1, s2", Op.FP_MAC),
    ("vdiv.f32 s0, s1, s2", Op.FP_DIV),
    ("vsqrt.f32 s0, s1", Op.FP_DIV),
    ("vmov s0, r0", Op.FP_MOVE),
    ("vldr s0, [r0]", Op.LOAD),
    ("nop", Op.ALU),
    ("vldm r0!, {s0-s3}", LOADS + 4),
    ("vpush {s0, s1}", STORES + 2),
]

M55 = [
    ("vldrb.u8 q0, [r0], #16", Op.MVE_MEMORY),
    ("vmladava.s8 r0, q0, q1", Op.MVE_NEXT),
    ("vqrdmulh.s32 q0, q1, q2", Op.MVE),
    ("vmov.i32 q0, #0", Op.MVE),
    ("vstrh.16 q0, [r1]", Op.MVE_NEXT),
    ("vadd.i32 q0, q1, r2", Op.MVE_NEXT),
    ("vldrb.s32 q0, [r1, q1]", Op.MVE_NEXT),
    ("vstrw.32 q0, [q1, #4]", Op.MVE_MEMORY),
    ("vld40.8 {q0, q1, q2, q3}, [r0]", Op.MVE_MEMORY),
    ("vmov r0, r1, q0[2], q0[0]", Op.MVE_NEXT),
    ("vctp.8 r0", Op.MVE),
    ("1: dls lr, r0", Op.LOOP),
    ("le lr, 1b", Op.LOOP),
    ("dlstp.8 lr, r0", Op.LOOP),
    ("csel r0, r1, r2, eq", Op.ALU),
    ("smmulr r0, r1, r2", Op.MUL),
    ("vadd.f32 s0, s1, s2", Op.FP_ALU),
    ("vldr s0, [r0]", Op.LOAD),
    ("bl .", Op.CALL),
]

RV32 = [
    ("add a0, a1, a2", Op.ALU),
    ("li a0, 1", Op.ALU),
    ("mv a0, a1", Op.ALU),
    ("mul a0, a1, a2", Op.MUL),
    ("mulhsu a0, a1, a2", Op.MUL_LONG),
    ("div a0, a1, a2", Op.DIV),
    ("remu a0, a1, a2", Op.DIV),
    ("lw a0, 0(a1)", Op.LOAD),
    ("lbu a0, 0(a1)", Op.LOAD_NEXT),
    ("nop", Op.ALU),
    ("lw a0, 4(sp)", Op.LOAD),
    ("sw a0, 4(sp)", Op.STORE),
    ("sb a0, 0(a1)", Op.STORE),
    ("beqz a0, .", Op.BRANCH),
    ("blt a0, a1, .", Op.BRANCH),
    ("j .", Op.JUMP),
    ("jal .", Op.CALL),
    ("jalr a0", Op.CALL),
    ("jalr 4(a0)", Op.CALL),
    ("jr a0", Op.RETURN),
    ("ret", Op.RETURN),
    ("csrr a0, mcycle", Op.OTHER),
    ("ebreak", Op.OTHER),
]

ZBB = [
    ("min a0, a1, a2", Op.ALU),
    ("maxu a0, a1, a2", Op.ALU),
    ("sext.b a0, a1", Op.ALU),
    ("sext.h a0, a1", Op.ALU),
    ("zext.h a0, a1", Op.ALU),
    ("andn a0, a1, a2", Op.ALU),
    ("clz a0, a1", Op.ALU),
    ("cpop a0, a1", Op.ALU),
    ("rori a0, a1, 3", Op.ALU),
    ("rev8 a0, a1", Op.ALU),
    ("orc.b a0, a1", Op.ALU),
    ("lb a0, 0(a1)", Op.LOAD),
]

A64 = [
    ("add x0, x1, x2", Op.ALU),
    ("madd x0, x1, x2, x3", Op.MAC),
    ("smaddl x0, w1, w2, x3", Op.MAC),
    ("mul w0, w1, w2", Op.MUL),
    ("smull x0, w1, w2", Op.MUL),
    ("sdiv x0, x1, x2", Op.DIV),
    ("ldr x0, [x1]", Op.LOAD),
    ("ldrsb w0, [x1]", Op.LOAD_NEXT),
    ("str x0, [x1]", Op.STORE),
    ("add x0, x1, x2", Op.ALU),
    ("ldr q0, [x1]", Op.LOAD),
    ("ldp x0, x1, [sp], #16", LOADS + 2),
    ("stp x0, x1, [sp, #-16]!", STORES + 2),
    ("ld1 {v0.16b, v1.16b}, [x0]", LOADS + 2),
    ("smlal v0.4s, v1.4h, v2.4h", Op.SIMD),
    ("addv s0, v1.4s", Op.SIMD),
    ("b.ne .", Op.BRANCH),
    ("tbz x0, #1, .", Op.BRANCH),
    ("bl .", Op.CALL),
    ("blr x0", Op.CALL),
    ("ret", Op.RETURN),
    ("fmadd s0, s1, s2, s3", Op.FP_MAC),
    ("fmul s0, s1, s2", Op.FP_MUL),
    ("fdiv s0, s1, s2", Op.FP_DIV),
    ("fadd s0, s1, s2", Op.FP_ALU),
    ("fmov s0, w0", Op.FP_MOVE),
    ("dmb ish", Op.OTHER),
]

A55 = [
    ("sdot v0.4s, v1.16b, v2.16b", Op.SIMD),
    ("sdot v0.4s, v1.16b, v2.4b[1]", Op.SIMD),
    ("udot v0.4s, v1.16b, v2.16b", Op.SIMD),
    ("ld1 {v0.16b-v3.16b}, [x0], #64", LOADS + 4),
    ("st1 {v0.h}[1], [x0]", STORES + 1),
]

CORES = {
    "cortex-m4": (
        "arm-none-eabi-gcc", ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        ".syntax unified\n.thumb\n.thumb_func\n", "thumb", M4,
    ),
    "cortex-m55": (
        "arm-none-eabi-gcc", ["-mcpu=cortex-m55", "-mfloat-abi=hard"],
        ".syntax unified\n.thumb\n.thumb_func\n", "thumb", M55,
    ),
    "rv32imc": (
        "riscv64-unknown-elf-gcc", ["-march=rv32imc_zicsr", "-mabi=ilp32"], "", "riscv32", RV32,
    ),
    "rv32imc_zbb": (
        "riscv64-unknown-elf-gcc", ["-march=rv32imc_zbb", "-mabi=ilp32"], "", "riscv32", ZBB,
    ),
    "cortex-a53": ("aarch64-linux-gnu-gcc", [], "", "aarch64", A64),
    "cortex-a55": ("aarch64-linux-gnu-gcc", ["-mcpu=cortex-a55"], "", "aarch64", A55),
}  # fmt: skip


def test_registers_of_multiple_loads() -> None:
    assert describe(Op.LOAD_MULTIPLE + 4) == ("load_multiple", 4)
    assert describe(Op.STORE_MULTIPLE + 32) == ("store_multiple", 32)
    assert describe(Op.MAC) == ("mac", 0)
    assert describe(255) == ("other", 0)


@given(st.sampled_from(["thumb", "riscv32", "aarch64"]), st.binary(max_size=64))
def test_any_bytes_are_classified(isa: str, data: bytes) -> None:
    classes = classify(isa, data)
    assert len(classes) == (len(data) + 1) // 2
    names = {op.name.lower() for op in Op}
    assert all(describe(number)[0] in names for number in classes)


def test_an_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(TargetError, match="thumb"):
        classify("sparc", b"")
