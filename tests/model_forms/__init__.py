"""Forms in which users write recurrent models, and what each door must make of them.

`FORMS` has a line per form: what it is built of, and whether it is taken, and then computes the
same, or refused, and then by which words. `doors.py` has the ways in: a module, a ``.pt2`` of
``torch.export`` and ONNX by both exporters of PyTorch. ``tests/unit/test_model_forms.py`` tries
every form at every door, and its twin in Keras (`twins.py`); ``docs/import.md`` has the table.
"""

from tests.model_forms.accepted import ACCEPTED
from tests.model_forms.form import Form
from tests.model_forms.functions import FUNCTIONS
from tests.model_forms.loops import LOOPS
from tests.model_forms.networks import NETWORKS
from tests.model_forms.refused import REFUSED
from tests.model_forms.twins import TWINS, Twin

__all__ = ["FORMS", "TWINS", "Form", "Twin"]

FORMS = [*ACCEPTED, *FUNCTIONS, *NETWORKS, *LOOPS, *REFUSED]
