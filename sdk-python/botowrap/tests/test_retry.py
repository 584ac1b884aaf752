"""R1 to R7: throttled calls are tried again, within the budget and the caller's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from botowrap.deadlines import current_deadline, deadline
from tests.conftest import Backend
from tests.servers import FaultServer, fault, fixed

THROTTLE = fault("ProvisionedThroughputExceededException")


def get(client: Any) -> Any:
    return client.get_item(TableName="t", Key={"id": "a"})


@pytest.mark.parametrize("retries", [0, 2, 5])
def test_r1_a_throttled_call_is_attempted_once_more_than_max_retries(
    faulty: Backend, faults: FaultServer, sleeps: list[float], retries: int
) -> None:
    client = faulty.client(max_retries=retries)
    faults.respond = fixed(THROTTLE)
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException) as failed:
        get(client)
    assert len(faults.requests) == retries + 1
    assert len(sleeps) == retries
    assert failed.value.response["ResponseMetadata"]["RetryAttempts"] == retries
    assert f"(reached max retries: {retries})" in str(failed.value)


def test_r1_also_in_the_hundredth_call(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client(max_retries=2)
    faults.respond = fixed(THROTTLE)
    for _ in range(100):
        with pytest.raises(ClientError):
            get(client)
    assert len(faults.requests) == 300, "no quota of botocore's runs out"


def test_r2_delays_are_jittered_and_grow_exponentially(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client(max_retries=10)
    faults.respond = fixed(THROTTLE)
    for _ in range(2):
        with pytest.raises(ClientError):
            get(client)
    first, second = sleeps[:10], sleeps[10:]
    for attempt, seconds in enumerate(first, start=1):
        lowest, highest = (min(bound * 2**attempt, 20) for bound in (0.05, 0.1))
        assert lowest <= seconds <= highest
    assert first != second


@pytest.mark.parametrize("failures", [1, 5])
def test_r3_success_after_throttles_returns(
    faulty: Backend, faults: FaultServer, sleeps: list[float], failures: int
) -> None:
    faults.fail_first(failures, THROTTLE, (200, {"Item": {"id": {"S": "a"}}}))
    assert get(faulty.client())["Item"] == {"id": "a"}
    assert len(faults.requests) == failures + 1


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
    ],
)
def test_r4_every_code_of_throttling_is_retried(
    faulty: Backend, faults: FaultServer, sleeps: list[float], code: str
) -> None:
    faults.fail_first(5, fault(code))
    get(faulty.client())
    assert len(faults.requests) == 6


@pytest.mark.parametrize(
    "code",
    ["ValidationException", "ConditionalCheckFailedException", "TransactionConflictException"],
)
def test_r4_other_errors_are_not(
    faulty: Backend, faults: FaultServer, sleeps: list[float], code: str
) -> None:
    faults.respond = fixed(fault(code))
    with pytest.raises(ClientError, match=code):
        get(faulty.client())
    assert (len(faults.requests), sleeps) == (1, [])


def test_r5_the_handler_never_says_false(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client()
    answers: list[Any] = []
    ours = client._botowrap._retry.needs_retry
    client.meta.events.register_first(
        "needs-retry.dynamodb", lambda **kwargs: answers.append(ours(**kwargs))
    )
    faults.fail_first(1, fault("InternalServerError", 500))
    get(client)
    faults.fail_first(3, THROTTLE)
    get(client)
    faults.respond = fixed(fault("ValidationException"))
    with pytest.raises(ClientError):
        get(client)
    assert answers
    assert all(answer is None or type(answer) is float for answer in answers)


def test_r5_botocores_own_retries_go_on(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    faults.fail_first(1, fault("InternalServerError", 500))
    get(faulty.client(max_retries=0))
    assert len(faults.requests) == 2


@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
def test_r6_explicit_retries_of_the_client_win(
    faulty: Backend, faults: FaultServer, sleeps: list[float], mode: Any
) -> None:
    session = faulty.session(max_retries=5)
    config = Config(retries={"total_max_attempts": 2, "mode": mode})
    client = session.client("dynamodb", endpoint_url=faulty.url, config=config)
    faults.respond = fixed(THROTTLE)
    with pytest.raises(ClientError):
        get(client)
    assert len(faults.requests) == 2


@pytest.mark.parametrize("mode", ["standard", "legacy"])
def test_r6_an_explicit_mode_alone_leaves_the_count_to_max_retries(
    faulty: Backend, faults: FaultServer, sleeps: list[float], mode: Any
) -> None:
    session = faulty.session(max_retries=6)
    config = Config(retries={"mode": mode})
    client = session.client("dynamodb", endpoint_url=faulty.url, config=config)
    faults.respond = fixed(THROTTLE)
    with pytest.raises(ClientError):
        get(client)
    assert len(faults.requests) == 7


def test_r7_no_retry_ends_after_the_deadline(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client(max_retries=20, clock=lambda: 1000.0 + sum(sleeps))
    faults.respond = fixed(THROTTLE)
    until = datetime.fromtimestamp(1002, UTC)
    with (
        deadline(until),
        pytest.raises(client.exceptions.ProvisionedThroughputExceededException) as failed,
    ):
        get(client)
    assert 1 <= len(sleeps) < 20
    assert sum(sleeps) < 2
    assert "deadline" in failed.value.__notes__[0]


def test_r7_the_deadline_can_come_from_the_configuration(
    faulty: Backend, faults: FaultServer, sleeps: list[float]
) -> None:
    client = faulty.client(clock=lambda: 1000.0, deadline=lambda: datetime.fromtimestamp(1000, UTC))
    for failure in (THROTTLE, fault("InternalServerError", 500)):
        faults.requests.clear()
        faults.respond = fixed(failure)
        with pytest.raises(ClientError):
            get(client)
        assert len(faults.requests) == 1


def test_r7_connection_errors_are_not_retried_past_it(sleeps: list[float]) -> None:
    client = Backend("nobody", "http://127.0.0.1:1").client()
    with deadline(timedelta(seconds=-1)), pytest.raises(EndpointConnectionError) as failed:
        get(client)
    assert sleeps == []
    assert "deadline" in failed.value.__notes__[0]


def test_r7_an_inner_deadline_is_never_later() -> None:
    soon, late = (datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2))
    with deadline(soon), deadline(late) as until:
        assert until == soon == current_deadline()
    with deadline(late), deadline(soon) as until:
        assert until == soon
    assert current_deadline() is None
    with pytest.raises(ValueError, match="no time zone"), deadline(datetime(2030, 1, 1)):
        pass
