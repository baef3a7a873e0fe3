"""DynamoDB: what the registry's protocol relies on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.tests.support import Lab

Item = dict[str, Any]


class Table:
    """One table with a sparse index, and short calls on it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self.client = lab.client("dynamodb")
        self.client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": part, "AttributeType": "S"} for part in ("pk", "sk", "dueShard", "dueAt")
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "dueShard", "KeyType": "HASH"},
                        {"AttributeName": "dueAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def key(self, pk: str, sk: str = "-") -> Item:
        """A primary key."""
        return {"pk": {"S": pk}, "sk": {"S": sk}}

    def put(self, pk: str, **attributes: Any) -> None:
        """Write an item."""
        self.client.put_item(TableName=self.name, Item={**self.key(pk), **attributes})

    def get(self, pk: str) -> Item | None:
        """Read an item consistently, without its key."""
        item = self.client.get_item(TableName=self.name, Key=self.key(pk), ConsistentRead=True).get("Item")
        return item and {name: value for name, value in item.items() if name not in ("pk", "sk")}

    def update(
        self, pk: str, expression: str, values: Item | None = None, condition: str | None = None, **more: Any
    ) -> Item:
        """UpdateItem."""
        optional = {"ExpressionAttributeValues": values, "ConditionExpression": condition}
        given = {name: value for name, value in optional.items() if value is not None}
        answer: Item = self.client.update_item(
            TableName=self.name, Key=self.key(pk), UpdateExpression=expression, **given, **more
        )
        return answer

    def check(self, pk: str, condition: str, values: Item | None = None) -> Item:
        """A ConditionCheck of a transaction that shows the item when it fails."""
        given = {"ExpressionAttributeValues": values} if values else {}
        return {
            "ConditionCheck": {
                "TableName": self.name,
                "Key": self.key(pk),
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **given,
            }
        }

    def write(self, pk: str, expression: str, values: Item, condition: str | None = None) -> Item:
        """An Update of a transaction."""
        given = {"ConditionExpression": condition} if condition else {}
        return {
            "Update": {
                "TableName": self.name,
                "Key": self.key(pk),
                "UpdateExpression": expression,
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **given,
            }
        }


@pytest.fixture
def table(lab: Lab, unique: str) -> Table:
    """An empty table."""
    return Table(lab, unique)


def failed(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> Item:
    """The error answer of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    answer: Item = caught.value.response
    return answer


def test_update_returns_the_new_item(table: Table) -> None:
    table.put("alarm", bindings={"M": {"d1": {"S": "x"}}})
    answer = table.update(
        "alarm", "SET firedAt = :t", {":t": {"N": "5"}}, "attribute_exists(pk)", ReturnValues="ALL_NEW"
    )
    assert answer["Attributes"] == {**table.key("alarm"), "bindings": {"M": {"d1": {"S": "x"}}}, "firedAt": {"N": "5"}}


def test_a_failed_condition_returns_the_old_item(table: Table) -> None:
    table.put("alarm", firedAt={"N": "9"}, bindings={"M": {"d1": {"S": "x"}}})
    condition = "attribute_exists(pk) AND (attribute_not_exists(firedAt) OR firedAt < :t)"
    answer = failed(
        table.update,
        "alarm",
        "SET firedAt = :t",
        {":t": {"N": "5"}},
        condition,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert answer["Error"]["Code"] == "ConditionalCheckFailedException"
    assert answer["Item"] == {**table.key("alarm"), "firedAt": {"N": "9"}, "bindings": {"M": {"d1": {"S": "x"}}}}
    missing = failed(
        table.update,
        "none",
        "SET firedAt = :t",
        {":t": {"N": "5"}},
        condition,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert "Item" not in missing
    assert table.get("none") is None


def test_nested_maps(table: Table) -> None:
    table.put("d", intents={"M": {}})
    names = {"#i": "intents", "#k": "i-1"}
    table.update(
        "d",
        "SET #i.#k = :v, n = if_not_exists(n, :zero) + :one",
        {":v": {"M": {"until": {"N": "1"}}}, ":zero": {"N": "0"}, ":one": {"N": "1"}},
        ExpressionAttributeNames=names,
    )
    assert table.get("d") == {"intents": {"M": {"i-1": {"M": {"until": {"N": "1"}}}}}, "n": {"N": "1"}}
    twice = failed(
        table.update,
        "d",
        "SET #i.#k = :v",
        {":v": {"S": "x"}},
        "attribute_not_exists(#i.#k)",
        ExpressionAttributeNames=names,
    )
    assert twice["Error"]["Code"] == "ConditionalCheckFailedException"
    full = failed(
        table.update,
        "d",
        "SET n = :one",
        {":one": {"N": "9"}, ":zero": {"N": "0"}},
        "size(#i) = :zero",
        ExpressionAttributeNames={"#i": "intents"},
    )
    assert full["Error"]["Code"] == "ConditionalCheckFailedException"
    table.update("d", "REMOVE #i.#k", None, "attribute_exists(#i.#k)", ExpressionAttributeNames=names)
    table.update(
        "d",
        "SET n = :one",
        {":one": {"N": "9"}, ":zero": {"N": "0"}},
        "size(#i) = :zero",
        ExpressionAttributeNames={"#i": "intents"},
    )
    assert table.get("d") == {"intents": {"M": {}}, "n": {"N": "9"}}


def test_setting_below_a_missing_map_is_a_validation_error(table: Table) -> None:
    table.put("d")
    answer = failed(table.update, "d", "SET a.b = :v", {":v": {"S": "x"}})
    assert answer["Error"]["Code"] == "ValidationException"
    assert "document path" in answer["Error"]["Message"]


def test_an_unused_value_is_a_validation_error(table: Table) -> None:
    table.put("d")
    answer = failed(table.update, "d", "SET a = :v", {":v": {"S": "x"}, ":unused": {"S": "y"}})
    assert answer["Error"]["Code"] == "ValidationException"


def test_set_operations(table: Table) -> None:
    table.put("d")
    table.update("d", "ADD people :n, amount :one", {":n": {"SS": ["a", "b"]}, ":one": {"N": "2"}})
    table.update("d", "DELETE people :n", {":n": {"SS": ["a"]}})
    assert table.get("d") == {"people": {"SS": ["b"]}, "amount": {"N": "2"}}


def test_transaction_is_all_or_nothing_and_says_why(table: Table) -> None:
    table.put("open", phase={"S": "open"})
    table.put("fired", firedAt={"N": "7"})
    answer = failed(
        table.client.transact_write_items,
        TransactItems=[
            table.write("new", "SET a = :a", {":a": {"N": "1"}}),
            table.check("open", "phase = :open", {":open": {"S": "open"}}),
            table.check("fired", "attribute_not_exists(firedAt) OR firedAt < :t", {":t": {"N": "7"}}),
            table.check("missing", "attribute_exists(pk)"),
        ],
    )
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    reasons = answer["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == [
        "None",
        "None",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
    ]
    assert reasons[2]["Item"] == {**table.key("fired"), "firedAt": {"N": "7"}}
    assert "Item" not in reasons[1] and "Item" not in reasons[3]
    assert answer["Error"]["Message"].endswith("[None, None, ConditionalCheckFailed, ConditionalCheckFailed]")
    assert table.get("new") is None


def test_a_failed_update_of_a_transaction_shows_its_item(table: Table) -> None:
    table.put("lock", holder={"S": "other"})
    answer = failed(
        table.client.transact_write_items,
        TransactItems=[
            table.write(
                "lock", "SET holder = :me", {":me": {"S": "me"}}, "attribute_not_exists(holder) OR holder = :me"
            )
        ],
    )
    assert answer["CancellationReasons"][0]["Item"]["holder"] == {"S": "other"}


def test_transaction_with_a_request_token_is_done_once(table: Table) -> None:
    table.put("d", n={"N": "0"})
    items = [table.write("d", "SET n = n + :one", {":one": {"N": "1"}})]
    for _ in range(2):
        table.client.transact_write_items(TransactItems=items, ClientRequestToken="same-token")
    assert table.get("d") == {"n": {"N": "1"}}
    other = [table.write("d", "SET n = n + :one", {":one": {"N": "2"}})]
    answer = failed(table.client.transact_write_items, TransactItems=other, ClientRequestToken="same-token")
    assert answer["Error"]["Code"] == "IdempotentParameterMismatchException"


def test_one_item_twice_in_a_transaction_is_refused(table: Table) -> None:
    answer = failed(
        table.client.transact_write_items,
        TransactItems=[
            table.write("d", "SET a = :a", {":a": {"N": "1"}}),
            table.check("d", "attribute_not_exists(pk)"),
        ],
    )
    assert answer["Error"]["Code"] == "ValidationException"


def test_more_than_a_hundred_items_in_a_transaction_are_refused(table: Table) -> None:
    items = [table.write(f"d{number}", "SET a = :a", {":a": {"N": "1"}}) for number in range(101)]
    assert failed(table.client.transact_write_items, TransactItems=items)["Error"]["Code"] == "ValidationException"


def test_transact_get(table: Table) -> None:
    table.put("a", n={"N": "1"})
    gets = [{"Get": {"TableName": table.name, "Key": table.key(pk)}} for pk in ("a", "b")]
    responses = table.client.transact_get_items(TransactItems=gets)["Responses"]
    assert [response.get("Item", {}).get("n") for response in responses] == [{"N": "1"}, None]


def test_concurrent_transactions_are_isolated(table: Table) -> None:
    """Each of them takes one of ten places; nobody gets in when all are taken."""
    table.put("d", n={"N": "0"}, seats={"M": {}})
    outcomes: list[str] = []

    def take(number: int) -> None:
        values = {":one": {"N": "1"}, ":ten": {"N": "10"}}
        try:
            table.client.transact_write_items(
                TransactItems=[
                    table.write("d", "SET n = n + :one", values, "n < :ten"),
                    table.write(f"seat{number}", "SET a = :a", {":a": {"N": "1"}}),
                ]
            )
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
        else:
            outcomes.append("taken")

    threads = [threading.Thread(target=take, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("taken") == 10
    assert table.get("d") == {"n": {"N": "10"}, "seats": {"M": {}}}
    assert sum(table.get(f"seat{number}") is not None for number in range(25)) == 10


def test_query_of_a_sparse_index(table: Table) -> None:
    for number in range(5):
        due = {"dueShard": {"S": "all"}, "dueAt": {"S": f"2026-01-0{number + 1}"}} if number % 2 == 0 else {}
        table.put(f"d{number}", **due)
    parameters = {
        "TableName": table.name,
        "IndexName": "due",
        "KeyConditionExpression": "dueShard = :all AND dueAt <= :now",
        "ExpressionAttributeValues": {":all": {"S": "all"}, ":now": {"S": "2026-01-03"}},
    }
    assert [item["pk"]["S"] for item in table.client.query(**parameters)["Items"]] == ["d0", "d2"]
    table.update("d0", "REMOVE dueShard, dueAt")
    assert [item["pk"]["S"] for item in table.client.query(**parameters)["Items"]] == ["d2"]
    page = table.client.query(**parameters, Limit=1)
    assert page["LastEvaluatedKey"] == {
        "pk": {"S": "d2"},
        "sk": {"S": "-"},
        "dueShard": {"S": "all"},
        "dueAt": {"S": "2026-01-03"},
    }
    assert failed(table.client.query, **parameters, ConsistentRead=True)["Error"]["Code"] == "ValidationException"


def test_query_by_prefix_and_backwards(table: Table) -> None:
    for number in range(3):
        table.client.put_item(TableName=table.name, Item={**table.key("d", f"event#{number}"), "n": {"N": str(number)}})
    table.client.put_item(TableName=table.name, Item=table.key("d", "meta"))
    answer = table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :event)",
        ExpressionAttributeValues={":pk": {"S": "d"}, ":event": {"S": "event#"}},
        ScanIndexForward=False,
        ConsistentRead=True,
    )
    assert [item["n"]["N"] for item in answer["Items"]] == ["2", "1", "0"]


def test_conditional_put_and_delete(table: Table) -> None:
    table.put("d", holder={"S": "me"})
    answer = failed(
        table.client.put_item,
        TableName=table.name,
        Item=table.key("d"),
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert answer["Item"]["holder"] == {"S": "me"}
    delete = {"TableName": table.name, "Key": table.key("d"), "ConditionExpression": "holder = :h"}
    assert (
        failed(table.client.delete_item, **delete, ExpressionAttributeValues={":h": {"S": "x"}})["Error"]["Code"]
        == "ConditionalCheckFailedException"
    )
    table.client.delete_item(**delete, ExpressionAttributeValues={":h": {"S": "me"}})
    assert table.get("d") is None


def test_time_to_live_is_described(table: Table) -> None:
    """Deviation: when expired items go is not AWS's business to promise (within days); the lab removes them
    within a minute or so. Nothing may depend on either."""
    table.client.update_time_to_live(
        TableName=table.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"}
    )
    description = table.client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    assert (description["TimeToLiveStatus"], description["AttributeName"]) == ("ENABLED", "expiresAt")


def test_an_item_of_more_than_400_kb_is_refused(table: Table) -> None:
    answer = failed(table.put, "big", text={"S": "x" * 410_000})
    assert answer["Error"]["Code"] == "ValidationException"
