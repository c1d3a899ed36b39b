"""Attributes of a caller, as the command line takes them."""

import typer


def name_and_value(given: str) -> tuple[str, str]:
    """The two halves of NAME=VALUE."""
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{given} is not NAME=VALUE", param_hint="--attribute")
    return name, value
