"""LLVM's assembly listings as files for GNU as: functions and constants, nothing else."""

import re
from collections.abc import Sequence

#: Sections that a step has no use for.
_NEEDLESS = re.compile(r"\.debug_|\.note|\.tvm\.fp16|\.ARM\.attributes|\.comment")
#: Directives for debuggers and for unwinding, and such as the compiler's own flags decide.
_DROPPED = re.compile(
    r"\s*\.(loc|cfi_\w+|fnstart|fnend|cantunwind|save|setfp|pad|file|ident|cpu|arch|fpu"
    r"|eabi_attribute|attribute|option|addrsig\w*|weak)\b"
)
_FUNCTION = re.compile(r"\s*\.type\s+(\w+),\s*[%@]function")
_LABEL = re.compile(r"(\.L\w+):$")
_NARROW = re.compile(r"\s*vqshr(u?)n([bt])\.([su])(16|32)\s+q(\d),\s*q(\d),\s*#(\d+)$")


def plain_assembly(text: str, names: Sequence[str]) -> str:
    """Return the functions and the constants they read, a section each, without debug parts."""
    lines: list[str] = []
    keeps, header = True, True
    for line in text.splitlines():
        line = re.sub(r"\s*(@|//|#)\s.*$", "", line).rstrip()
        if not line or _DROPPED.match(line):
            continue
        if re.match(r"\s*\.(section|text|data|bss)\b", line):
            keeps = not _NEEDLESS.search(line)
            header = False
            if line.strip() == ".text":
                continue
        elif found := _FUNCTION.match(line):
            keeps = found[1] in names
            before = []
            while lines and re.match(r"\s*\.(globl|p2align|hidden)\b", lines[-1]):
                before.append(lines.pop())
            if keeps:
                lines += [f'\t.section\t.text.{found[1]},"ax",%progbits', *reversed(before)]
        if keeps or header:
            lines.append(_for_gnu(line))
    return _without_unused_labels(lines)


def _for_gnu(line: str) -> str:
    """Return an instruction as GNU as reads it, or its code where that reads another."""
    # it wants a sign, which the instruction does not have, and one register in capitals
    line = re.sub(r"\b(vmlas?)\.i(8|16|32)\b", r"\1.s\2", line)
    line = re.sub(r"\b(v(?:ldr|str)\s+)p0\b", r"\1P0", line)
    narrow = _NARROW.match(line)
    if narrow is None:
        return line
    # GNU as 2.40 takes VQSHRN for VQRSHRN, which rounds: Arm DDI 0553, C2.4 VQSHRN, VQSHRUN
    unsigned, top, sign, bits, d, m, shift = narrow.groups()
    half = int(bits) // 2
    first = 0xEE80 | (sign == "u") << 12 | half | (half - int(shift))
    second = int(d) << 13 | (top == "t") << 12 | 0x0F40 | bool(unsigned) << 7 | int(m) << 1
    return f"\t.inst.w 0x{first:04x}{second:04x}"


def _without_unused_labels(lines: list[str]) -> str:
    used = set(re.findall(r"\.L\w+", "\n".join(x for x in lines if not _LABEL.match(x))))
    kept = [x for x in lines if not (m := _LABEL.match(x)) or m[1] in used]
    return "\n".join(kept) + "\n"
