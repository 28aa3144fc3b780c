"""One thread for the libraries of linear algebra, which read these variables when they are loaded.

Threads do not pay for layers as small as ours: they wait for each other, spinning, and on a busy
machine each other's time slices. ``train --threads`` gives torch its own number; who sets the
variables means it.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
