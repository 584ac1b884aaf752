"""The decorators: their forms, and what they refuse."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tinybase import extensions
from tinybase._registry import Registry
from tinybase.errors import RegistrationError
from tinybase.extensions import (
    RecordCreateEvent,
    UserLoginEvent,
    before_record_create,
    on_function_complete,
    on_record_create,
    on_startup,
    on_user_login,
)

LIFECYCLE = ("on_startup", "on_shutdown")
BARE = ("on_user_login", "on_user_register")
BY_COLLECTION = ("on_record_create", "on_record_update", "on_record_delete")
BY_NAME = ("on_function_call", "on_function_complete")
DOCUMENTED = LIFECYCLE + BARE + BY_COLLECTION + BY_NAME
OURS = (
    "before_function_call",
    "before_record_create",
    "before_record_delete",
    "before_record_update",
    "before_user_login",
    "before_user_register",
)


def handler_for(name: str) -> Callable[..., None]:
    return (lambda: None) if name in LIFECYCLE else (lambda event: None)


def test_p51_there_are_exactly_nine_documented_hooks_and_their_events() -> None:
    events = [it for it in extensions.__all__ if it[0].isupper()]
    loggers = ("create_activity_logger", "log_extension_activity")
    names = sorted(DOCUMENTED + OURS + loggers)
    assert names == [it for it in extensions.__all__ if it not in events]
    assert [it for it in events if not it.startswith("Before")] == [
        "FunctionCallEvent",
        "FunctionCompleteEvent",
        "RecordCreateEvent",
        "RecordDeleteEvent",
        "RecordUpdateEvent",
        "UserLoginEvent",
        "UserRegisterEvent",
    ]
    assert extensions.__all__ == sorted(extensions.__all__)


@pytest.mark.parametrize("name", DOCUMENTED + OURS)
def test_a_decorator_works_bare_and_called_and_returns_the_function(
    name: str, registry: Registry
) -> None:
    decorator: Any = getattr(extensions, name)
    bare, called = handler_for(name), handler_for(name)
    assert decorator(bare) is bare
    assert decorator()(called) is called
    assert [it.function for it in registry.hooks] == [bare, called]
    event = name.removeprefix("on_").removeprefix("before_").replace("_", ".", 1)
    assert {(it.event, it.phase, it.filter) for it in registry.hooks} == {
        (event, "before" if name.startswith("before_") else "after", None)
    }


@pytest.mark.parametrize("name", BY_COLLECTION + BY_NAME)
def test_p21_p22_a_filter_is_given_by_keyword_or_position_and_none_and_star_mean_all(
    name: str, registry: Registry
) -> None:
    decorator: Any = getattr(extensions, name)
    keyword = "collection" if name in BY_COLLECTION else "name"
    decorator(**{keyword: "orders"})(handler_for(name))
    decorator("orders")(handler_for(name))
    decorator(**{keyword: "*"})(handler_for(name))
    decorator(None)(handler_for(name))
    assert [it.filter for it in registry.hooks] == ["orders", "orders", None, None]


def test_a_wrong_keyword_is_answered_with_the_nearest_right_one() -> None:
    decorate: Any = on_record_create
    with pytest.raises(TypeError, match="has no argument 'colection'; did you mean 'collection'"):
        decorate(colection="orders")
    decorate = on_function_complete
    with pytest.raises(TypeError, match="has no argument 'function'; it takes name, timeout"):
        decorate(function="f")
    decorate = on_startup
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        decorate(priority=1)


def test_a_filter_that_is_no_name_is_refused() -> None:
    decorate: Any = on_record_create
    with pytest.raises(TypeError, match="collection is a name, None or '\\*', not 5"):
        decorate(collection=5)
    with pytest.raises(TypeError, match="takes the collection by position"):
        decorate("a", "b")


def test_a_handler_that_cannot_be_called_is_refused_with_its_name_and_place() -> None:
    def two(event: object, more: object) -> None: ...

    def none() -> None: ...

    def keyword(event: object, *, more: object) -> None: ...

    for bad in (two, none, keyword):
        with pytest.raises(TypeError, match=rf"{bad.__name__} \(.*test_decorators.py:\d+\)"):
            on_user_login(bad)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="has to take no arguments"):
        on_startup(two)  # type: ignore[type-var]


def test_a_handler_with_defaults_or_varargs_is_fine(registry: Registry) -> None:
    def defaults(event: object, more: int = 1, *, other: int = 2) -> None: ...

    def varargs(*everything: object) -> None: ...

    class Bound:
        def method(self, event: object) -> None: ...

        def __call__(self, event: object) -> None: ...

    for good in (defaults, varargs, Bound().method, Bound(), functools.partial(varargs, 1)):
        on_user_login(good)
    assert len(registry.hooks) == 5


def test_a_generator_or_a_class_is_refused() -> None:
    def generator(event: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
        yield event

    with pytest.raises(TypeError, match="has a `yield`"):
        on_user_login(generator)
    with pytest.raises(TypeError, match="decorates a function"):
        on_user_login(int)
    with pytest.raises(TypeError, match="decorates a function"):
        on_user_login()("text")  # type: ignore[type-var]


def test_p23_an_annotation_is_not_needed_but_a_wrong_one_is_refused(registry: Registry) -> None:
    def unannotated(event):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return None

    def wrong(event: UserLoginEvent) -> None: ...

    def wrong_text(event: "UserLoginEvent") -> None: ...

    on_record_create(unannotated)
    for bad in (wrong, wrong_text):
        with pytest.raises(TypeError, match="hands over a RecordCreateEvent"):
            on_record_create(bad)


def test_options_of_ours_are_keywords_with_durations(registry: Registry) -> None:
    @before_record_create(
        collection="orders", priority=-5, timeout=timedelta(seconds=0.25), reentrant=True
    )
    def check(event: object) -> None: ...

    hook = registry.hooks[0]
    assert (hook.priority, hook.timeout_ms, hook.reentrant) == (-5, 250, True)
    decorate: Any = before_record_create
    with pytest.raises(TypeError, match="timeout is a positive timedelta, not 5"):
        decorate(timeout=5)
    with pytest.raises(TypeError, match="priority is an int"):
        decorate(priority="high")


def test_a_hook_s_name_is_stable_and_unique(registry: Registry) -> None:
    def shared(event: RecordCreateEvent) -> None: ...

    on_record_create("a")(shared)
    on_record_create("b")(shared)
    on_user_login(handler_for("x"))
    names = [name for name, _ in registry.named_hooks("tests")]
    base = "test_decorators.test_a_hook_s_name_is_stable_and_unique.<locals>.shared"
    assert names[:2] == [f"{base}:record.create:a", f"{base}:record.create:b"]
    assert names[2] == "test_decorators.handler_for.<locals>.<lambda>"


def test_functions_of_one_name_get_numbers_and_one_function_twice_is_refused(
    registry: Registry,
) -> None:
    on_user_login(handler_for("x"))
    on_user_login(handler_for("x"))
    first, second = [name for name, _ in registry.named_hooks()]
    assert second == first + "#2"
    with pytest.raises(RegistrationError, match=r"registered twice for user\.login"):
        on_user_login(registry.hooks[0].function)
