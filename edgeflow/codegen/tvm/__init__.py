"""Code by Apache TVM: no runtime, no heap, the C prototypes of ``firmware/kernels``.

Nothing outside this package imports TVM, which is an optional part: ``pip install
'edgeflow[tvm]'``.
"""
