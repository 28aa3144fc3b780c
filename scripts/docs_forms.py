"""The table of forms of models in ``docs/import.md``, which tests try at every door."""

from scripts.docs_reference import markdown
from tests.model_forms import FORMS, TWINS, Form
from tests.model_forms.doors import DOORS

_WORDS = {True: "yes", False: "no", None: ""}


def forms() -> str:
    """Return which door takes which form; an empty cell: it does not get there."""
    head = ["model", "module", "`.pt2`", "ONNX", "ONNX, `dynamo=True`", "Keras", "why, or instead"]
    return markdown(head, [_row(form) for form in FORMS])


def _row(form: Form) -> list[str]:
    twin = TWINS.get(form.name)
    taken = [*map(form.taken, DOORS), None if twin is None else not twin.refused]
    return [form.name.replace("|", "\\|"), *(_WORDS[one] for one in taken), form.why]
