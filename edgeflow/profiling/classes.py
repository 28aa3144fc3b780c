"""Classes of instructions: what the cycle models charge for.

Capstone names the instructions; what it does not know (Helium, low-overhead loops, newer
extensions) is classified by its opcode bits, from the Armv8.1-M manual (DDI 0553), section C2.3.
"""

import re
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import capstone

from edgeflow.errors import TargetError


class Op(IntEnum):
    """Number of a class, as in the counter's files (one byte)."""

    OTHER = 0  # barriers, system registers, not decoded
    BRANCH = 1  # direct jump, conditional or, but for JUMP, not (the counter relies on the number)
    CALL = 2  # the counter relies on the number
    RETURN = 3  # jump to an address in a register
    TABLE_BRANCH = 4
    LOOP = 5  # start and end of a low-overhead loop (the counter relies on the number)
    MVE_MEMORY = 6  # Helium loads and stores
    MVE_NEXT = 7  # arithmetic right after MVE_MEMORY or the reverse: their beats overlap
    ALU = 8
    MUL = 9
    MAC = 10  # multiply and accumulate, single or dual, 32 or 64 bits
    DIV = 11
    SIMD = 12  # packed arithmetic in integer registers; Neon
    MVE = 13  # Helium arithmetic
    MUL_LONG = 14  # 32 x 32 bits to 64, or to the upper 32
    MAC_LONG = 15  # the same, accumulated
    LOAD = 16
    LOAD_NEXT = 17  # a load right after another load: its address phase may overlap
    STORE = 18  # the counter relies on the number
    JUMP = 19  # unconditional direct jump of RISC-V (the counter relies on the number)
    FP_ALU = 24
    FP_MUL = 25
    FP_MAC = 26
    FP_DIV = 27
    FP_MOVE = 28
    LOAD_MULTIPLE = 64  # + number of registers (1..32)
    STORE_MULTIPLE = 128  # + number of registers (1..32); the counter relies on the number


_MOST_REGISTERS = 32
#: Class of an instruction that overlaps with the one before it, by the classes of both.
_NEXT: dict[tuple[int, int], Op] = {
    (Op.LOAD, Op.LOAD): Op.LOAD_NEXT,
    (Op.MVE, Op.MVE_MEMORY): Op.MVE_NEXT,
    (Op.MVE_MEMORY, Op.MVE): Op.MVE_NEXT,
}


def describe(number: int) -> tuple[str, int]:
    """Return the name of a class and, of a multiple load or store, the number of registers."""
    for base in (Op.STORE_MULTIPLE, Op.LOAD_MULTIPLE):
        if base < number <= base + _MOST_REGISTERS:
            return base.name.lower(), number - base
    try:
        return Op(number).name.lower(), 0
    except ValueError:
        return Op.OTHER.name.lower(), 0


def _whole(op: Op, operands: str) -> int:
    """Return a class with the number of registers: those in braces, else two."""
    if op not in (Op.LOAD_MULTIPLE, Op.STORE_MULTIPLE):
        return op
    _, braces, rest = operands.partition("{")
    return op + min(rest.partition("}")[0].count(",") + 1 if braces else 2, _MOST_REGISTERS)


def _table(*rows: tuple[str, Op]) -> Callable[[str], Op]:
    """Make a cached look-up of a mnemonic among patterns; the first that matches counts."""
    patterns = [(re.compile(pattern), op) for pattern, op in rows]

    @cache
    def look_up(mnemonic: str) -> Op:
        return next(op for pattern, op in patterns if pattern.fullmatch(mnemonic))

    return look_up


# ---- Thumb (Armv6-M to Armv8.1-M) ---------------------------------------------------------------

_CONDITION = "(eq|ne|hs|cs|lo|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?"


_THUMB = _table(
    (r"(v?ldm|v?pop|ldrd).*", Op.LOAD_MULTIPLE),
    (r"(v?stm|v?push|strd).*", Op.STORE_MULTIPLE),
    (rf"b{_CONDITION}(\.w)?|cbn?z", Op.BRANCH),
    (rf"blx?{_CONDITION}", Op.CALL),
    (rf"bx{_CONDITION}|bxns|blxns", Op.RETURN),
    (r"tb[bh]", Op.TABLE_BRANCH),
    (rf"[su]div{_CONDITION}", Op.DIV),
    (rf"[su]mulls?{_CONDITION}", Op.MUL_LONG),
    (rf"([su]mlals?|umaal){_CONDITION}", Op.MAC_LONG),
    (rf"(mul|smul|smmul|umull|smull|smu[as]d)[a-z]*{_CONDITION}(\.w)?", Op.MUL),
    (r"(ml[as]|sml|smml|umlal|umaal|usada8)[a-z0-9]*(\.w)?", Op.MAC),
    (r"(ldr|ldrex|lda|pld|pli|vldr).*", Op.LOAD),
    (r"(str|stl|vstr).*", Op.STORE),
    (r"vmov.*|vmrs.*|vmsr.*", Op.FP_MOVE),
    (r"v(n?mla|n?mls|fn?ma|fn?ms).*", Op.FP_MAC),
    (r"v(div|sqrt).*", Op.FP_DIV),
    (r"vn?mul.*", Op.FP_MUL),
    (r"v.*", Op.FP_ALU),
    (r"(s|u|q|sh|uh|uq)(add|sub|asx|sax)(8|16)?.*|usad8.*|sel.*|pkh.*", Op.SIMD),
    (r"[su]xta?b16.*|[su]sat16.*|qd(add|sub).*", Op.SIMD),
    (r"(dmb|dsb|isb|mrs|msr|cps|svc|bkpt|udf|wf[ei]|sev|yield|hint|mcr|mrc|cdp).*", Op.OTHER),
    (r".*", Op.ALU),
)


def _thumb_operation(mnemonic: str, operands: str) -> int:
    op = _THUMB(mnemonic)
    if op in (Op.ALU, Op.LOAD) and operands.startswith("pc,"):
        return Op.RETURN if op == Op.ALU else Op.TABLE_BRANCH
    return _whole(op, operands)


def _thumb_opcode(first: int, second: int) -> int | None:
    """Classify opcodes that Capstone cannot be trusted with; None: ask Capstone."""
    high = first >> 8
    coprocessor = (second >> 8) & 15
    if high in (0xEC, 0xED, 0xEE, 0xEF, 0xFC, 0xFD, 0xFE, 0xFF):
        if high in (0xEC, 0xED, 0xFC, 0xFD) and coprocessor in (14, 15):
            # a move of two lanes has neither of the bits
            return Op.MVE_MEMORY if second & 0x1000 or first & 0x80 else Op.MVE
        scalar_fp = high in (0xEC, 0xED, 0xEE, 0xFE) and coprocessor in (9, 10, 11)
        custom = high in (0xEC, 0xED, 0xEE, 0xFC, 0xFD, 0xFE) and coprocessor < 8
        return None if scalar_fp else Op.OTHER if custom else Op.MVE
    if first & 0xFFC0 == 0xF000 and second == 0xE801:
        return Op.MVE  # VCTP
    if first & 0xFF80 == 0xF000 and second & 0xD001 == 0xC001:
        return Op.LOOP  # WLS, DLS, LE and their tail-predicated forms
    return None


# ---- RISC-V (RV32IMC) ---------------------------------------------------------------------------

_RISCV = _table(
    (r"b(eq|ne|lt|ge|gt|le)u?z?|c\.b(eqz|nez)", Op.BRANCH),
    (r"j|c\.j", Op.JUMP),
    (r"jal|c\.jal|call|c\.jalr", Op.CALL),
    (r"ret|jr|c\.jr", Op.RETURN),
    (r"mulh(u|su)?", Op.MUL_LONG),
    (r"mulw?", Op.MUL),
    (r"(div|rem)u?w?", Op.DIV),
    (r"(c\.)?(lb|lh|lw|ld)u?(sp)?|lr\..*", Op.LOAD),
    (r"(c\.)?(sb|sh|sw|sd)(sp)?|sc\..*", Op.STORE),
    (r"(c\.)?(flw|fld)(sp)?", Op.LOAD),
    (r"(c\.)?(fsw|fsd)(sp)?", Op.STORE),
    (r"fn?m(add|sub)\..*", Op.FP_MAC),
    (r"f(div|sqrt)\..*", Op.FP_DIV),
    (r"fmul\..*", Op.FP_MUL),
    (r"f(mv|sgnj).*", Op.FP_MOVE),
    (r"fence.*|csr.*|rd.*|ecall|(c\.)?ebreak|mret|sret|wfi|unimp|c\.unimp", Op.OTHER),
    (r"f.*", Op.FP_ALU),
    (r".*", Op.ALU),
)
_RISCV_ALU = (0x13, 0x33, 0x17, 0x37)  # major opcodes OP-IMM, OP, AUIPC, LUI


def _riscv_operation(mnemonic: str, operands: str) -> int:
    if mnemonic == "jalr":
        return Op.RETURN if operands.startswith("zero") else Op.CALL
    if mnemonic == "jal" and operands.startswith("zero"):
        return Op.JUMP
    return _RISCV(mnemonic)


# ---- AArch64 ------------------------------------------------------------------------------------

_AARCH64 = _table(
    (r"ldn?p|ldpsw|ld[1-4]r?", Op.LOAD_MULTIPLE),
    (r"stn?p|st[1-4]", Op.STORE_MULTIPLE),
    (r"b|b\..*|cbn?z|tbn?z", Op.BRANCH),
    (r"blr?", Op.CALL),
    (r"ret|br", Op.RETURN),
    (r"mul|mneg|[su](mull|mnegl|mulh)", Op.MUL),
    (r"madd|msub|[su]m(add|sub)l", Op.MAC),
    (r"[su]div", Op.DIV),
    (r"ld(r|ur|ar|xr|axr|tr|apr).*|prfm|prfum", Op.LOAD),
    (r"st(r|ur|lr|xr|lxr|tr).*", Op.STORE),
    (r"fn?m(add|sub)", Op.FP_MAC),
    (r"f(div|sqrt)", Op.FP_DIV),
    (r"fn?mul", Op.FP_MUL),
    (r"fmov", Op.FP_MOVE),
    (r"f.*|[su]cvtf", Op.FP_ALU),
    (r"dmb|dsb|isb|mrs|msr|svc|brk|hint|nop|yield|wf[ei]|sys|bti|pac.*|aut.*|dc|ic", Op.OTHER),
    (r".*", Op.ALU),
)
_VECTOR = re.compile(r"\bv\d+\.")


def _aarch64_operation(mnemonic: str, operands: str) -> int:
    op = _AARCH64(mnemonic)
    vector = op not in (Op.LOAD_MULTIPLE, Op.STORE_MULTIPLE) and _VECTOR.search(operands)
    return Op.SIMD if vector else _whole(op, operands)


# ---- all ----------------------------------------------------------------------------------------


class _Isa(NamedTuple):
    """Decoding of an instruction set; opcodes are numbers of 16 bits, the first one first."""

    architecture: int
    mode: int
    operation: Callable[[str, str], int]  # class by mnemonic and operands
    long: Callable[[int], bool]  # whether an instruction has 32 bits
    opcode: Callable[[int, int], int | None] = lambda first, second: None
    unknown: Callable[[int], int] = lambda first: Op.OTHER  # to Capstone


_ISAS = {
    "thumb": _Isa(
        capstone.CS_ARCH_ARM,
        capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8,
        _thumb_operation,
        lambda first: first >> 11 in (0b11101, 0b11110, 0b11111),
        _thumb_opcode,
        # CSEL and the long shifts of Armv8.1-M are not in Capstone 5
        lambda first: Op.ALU if first >> 8 == 0xEA else Op.OTHER,
    ),
    "riscv32": _Isa(
        capstone.CS_ARCH_RISCV,
        capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC,
        _riscv_operation,
        lambda first: first & 3 == 3,
        # bit manipulation is not in Capstone 5
        unknown=lambda first: Op.ALU if first & 0x7F in _RISCV_ALU else Op.OTHER,
    ),
    "aarch64": _Isa(
        capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN, _aarch64_operation, lambda _: True
    ),
}


def classify(isa: str, data: bytes, address: int = 0) -> bytearray:
    """Classify the instructions of a stretch of code.

    Parameters
    ----------
    isa
        ``thumb``, ``riscv32`` or ``aarch64``.
    data
        Machine code, starting at an instruction.
    address
        Load address.

    Returns
    -------
    bytearray
        For every two bytes of code the class of the instruction that starts there, else 0.

    Raises
    ------
    TargetError
        If the instruction set is unknown.
    """
    if isa not in _ISAS:
        raise TargetError(
            f"instructions of '{isa}' cannot be classified: known are {', '.join(_ISAS)}"
        )
    architecture, mode, operation, long, opcode, unknown = _ISAS[isa]
    decoder = capstone.Cs(architecture, mode)
    result = bytearray((len(data) + 1) // 2)
    before: int = Op.OTHER
    offset = 0
    while offset + 2 <= len(data):
        first, second = (int.from_bytes(data[at : at + 2], "little") for at in (offset, offset + 2))
        size = 4 if long(first) else 2
        number = opcode(first, second) if size == 4 else None
        if number is None:
            code = data[offset : offset + size]
            found = next(decoder.disasm_lite(code, address + offset, 1), None)
            number = operation(found[2], found[3]) if found else unknown(first)
        result[offset // 2] = _NEXT.get((before, number), number)
        before = number
        offset += size
    return result
