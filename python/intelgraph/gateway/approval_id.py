"""How a request names an approval."""

from uuid import UUID

from intelgraph.errors import InvalidArgument


def approval_id(text: str) -> UUID:
    """The id. Raises InvalidArgument APPROVAL_ID_INVALID."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(
            "APPROVAL_ID_INVALID",
            "the approval's id is not a UUID",
            fix="copy it from `intelgraph approvals list`",
        ) from None


def approval_id_if_given(text: str) -> UUID | None:
    """The id; None for an empty text. Raises as `approval_id`."""
    return approval_id(text) if text else None
