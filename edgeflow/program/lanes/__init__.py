"""Programs as compiled C, many windows side by side: the same bits as numpy, tens of times faster.

Steps are traced to integer operations on single values (`values`, `trace`), these joined into
loops (`loops`), written as C whose innermost loops run over windows (`source`, ``lanes.h``), and
built once with the system's compiler (`library`). `simulator` decides which program runs where.
"""
