from __future__ import annotations

from harness.items.dealing import deal, deal_in_order, generator
from harness.items.items import Choice, Continuation


def offers(document: int, *texts: str) -> list[Continuation]:
    return [Continuation(document, text, " end") for text in texts]


def dealt(count: int, *documents: list[Continuation]) -> list[tuple[int, str]]:
    found = deal_in_order([iter(each) for each in documents], count)
    return [(item.document, item.prefix) for item in found]


def test_each_document_gives_one_item_a_round():
    found = dealt(5, offers(0, "a", "b", "c"), offers(1, "d", "e", "f"))
    assert found == [(0, "a"), (1, "d"), (0, "b"), (1, "e"), (0, "c")]


def test_the_others_give_more_where_a_document_has_run_out():
    assert dealt(4, offers(0, "a"), offers(1), offers(2, "d", "e", "f")) == [(0, "a"), (2, "d"), (2, "e"), (2, "f")]


def test_fewer_are_dealt_where_all_have_run_out():
    assert dealt(10, offers(0, "a"), offers(1, "b")) == [(0, "a"), (1, "b")]


def test_a_question_that_two_documents_share_goes_to_the_first_in_turn():
    assert dealt(10, offers(0, "a", "shared"), offers(1, "shared", "b")) == [(0, "a"), (1, "shared"), (1, "b")]


def test_a_document_that_has_none_in_one_turn_is_asked_again_in_the_next():
    def draw(document: int, turn: int) -> Choice | None:
        return Choice(document, str(turn), "bad", "kind") if turn % 2 == document else None

    assert [item.document for item in deal(2, 4, draw)] == [0, 1, 0, 1]


def test_a_draw_is_told_how_many_have_been_dealt():
    found = deal(3, 7, lambda document, turn: Choice(document, str(turn), "bad", "kind"))
    assert [item.good for item in found] == list("0123456")


def test_generators_of_different_jobs_and_places_differ():
    calls = [("clozes", 0), ("clozes", 1), ("continuations", 0), ("continuations", 1), ("swap", 0, 1), ("swap", 1, 0)]
    drawn = {generator(7, job, *places).random() for job, *places in calls}
    assert len(drawn) == len(calls)
