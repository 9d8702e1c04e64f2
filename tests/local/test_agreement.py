from typing import Any

from local.demo.agreement import Agreement, compare

ANN = "0035g00000AAAAAAAA"
LEE = "00Q5g00000BBBBBEEE"


def record(record_id: str, flag: bool, **changed: Any) -> dict[str, Any]:
    return {"Id": record_id, "HasOptedOutOfEmail": flag, "IsDeleted": False, **changed}


def test_equal_sides_agree():
    agreement = compare([(1, ANN, True), (2, LEE, False)], [record(ANN, True), record(LEE, False)])
    assert agreement == Agreement(compared=2, opted_out=1, differing=[])


def test_a_difference_in_either_direction_is_found():
    agreement = compare([(1, ANN, True), (2, LEE, False)], [record(ANN, False), record(LEE, True)])
    assert agreement == Agreement(compared=2, opted_out=0, differing=[1, 2])


def test_an_id_of_fifteen_characters_names_the_same_record():
    assert compare([(1, ANN[:15], False)], [record(ANN, True)]).differing == [1]


def test_records_that_are_gone_and_ids_that_name_none_are_not_compared():
    people = [(1, ANN, True), (2, LEE, True), (3, "0035g00000CCCCCXXX", True)]
    records = [record(ANN, False, IsDeleted=True), record(LEE, False, IsConverted=True)]
    assert compare(people, records) == Agreement(compared=0, opted_out=0, differing=[])
