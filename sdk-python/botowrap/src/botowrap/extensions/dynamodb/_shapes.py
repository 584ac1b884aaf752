"""Converters that follow the service model: wherever it says `AttributeValue`, one is converted.

A converter exists only for shapes that hold an attribute value somewhere, builds new containers
along the way, and leaves what doesn't fit for botocore's own validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from botowrap.errors import SerializationError
from botowrap.extensions.dynamodb._conditions import build_conditions
from botowrap.extensions.dynamodb._deserializer import Deserializer
from botowrap.extensions.dynamodb._serializer import Serializer

Converter = Callable[[Any], Any]

_CONDITION_SHAPES = frozenset({"ConditionExpression", "KeyExpression"})


def writer(operation: OperationModel, serializer: Serializer) -> Converter | None:
    """Converts an operation's parameters to the wire form, if there is anything to convert."""
    shape = operation.input_shape
    return None if shape is None else _writer(shape, serializer.serialize, ())


def reader(shape: Shape | None, deserializer: Deserializer) -> Converter | None:
    """Converts a response (or an error's members) from the wire form."""
    return None if shape is None else _reader(shape, deserializer.deserialize, ())


def _writer(shape: Shape, leaf: Converter, above: tuple[str, ...]) -> Converter | None:
    if shape.name == "AttributeValue":
        return leaf
    if shape.name in above:
        return None
    above = (*above, shape.name)
    if isinstance(shape, StructureShape):
        return _structure_writer(shape, leaf, above)
    if isinstance(shape, MapShape):
        held = _writer(shape.value, leaf, above)
        return None if held is None else _map_writer(held)
    if isinstance(shape, ListShape):
        held = _writer(shape.member, leaf, above)
        return None if held is None else _list_writer(held)
    return None


def _structure_writer(
    shape: StructureShape, leaf: Converter, above: tuple[str, ...]
) -> Converter | None:
    found = ((name, _writer(member, leaf, above)) for name, member in shape.members.items())
    members = [(name, convert) for name, convert in found if convert is not None]
    conditions = [n for n, member in shape.members.items() if member.name in _CONDITION_SHAPES]
    if not members and not conditions:
        return None

    def convert_structure(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        wire = dict(value)
        if conditions:
            build_conditions(wire, conditions)
        for name, convert in members:
            held = wire.get(name)
            if held is None:
                continue
            try:
                wire[name] = convert(held)
            except SerializationError as error:
                error.inside(name)
                raise
        return wire

    return convert_structure


def _map_writer(convert: Converter) -> Converter:
    def convert_map(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        wire = {}
        for name, held in value.items():
            try:
                wire[name] = convert(held)
            except SerializationError as error:
                error.inside(str(name))
                raise
        return wire

    return convert_map


def _list_writer(convert: Converter) -> Converter:
    def convert_list(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        wire = []
        for index, held in enumerate(value):
            try:
                wire.append(convert(held))
            except SerializationError as error:
                error.inside(index)
                raise
        return wire

    return convert_list


def _reader(shape: Shape, leaf: Converter, above: tuple[str, ...]) -> Converter | None:
    if shape.name == "AttributeValue":
        return leaf
    if shape.name in above:
        return None
    above = (*above, shape.name)
    if isinstance(shape, StructureShape):
        found = ((name, _reader(member, leaf, above)) for name, member in shape.members.items())
        members = [(name, convert) for name, convert in found if convert is not None]
        return _structure_reader(members) if members else None
    if isinstance(shape, MapShape):
        held = _reader(shape.value, leaf, above)
        return None if held is None else _map_reader(held)
    if isinstance(shape, ListShape):
        held = _reader(shape.member, leaf, above)
        return None if held is None else _list_reader(held)
    return None


def _structure_reader(members: list[tuple[str, Converter]]) -> Converter:
    def convert_structure(parsed: dict[str, Any]) -> dict[str, Any]:
        # In place: a response was parsed for this call alone, and its handlers share the object.
        for name, convert in members:
            held = parsed.get(name)
            if held is not None:
                parsed[name] = convert(held)
        return parsed

    return convert_structure


def _map_reader(convert: Converter) -> Converter:
    return lambda parsed: {name: convert(held) for name, held in parsed.items()}


def _list_reader(convert: Converter) -> Converter:
    return lambda parsed: [convert(held) for held in parsed]
