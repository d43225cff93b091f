"""Contracts on pages: read by everybody, written as text that is checked and never lost."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replays_app.models import Contract, ContractRevision
from replays_app.services.contracts import save_contract, save_text
from replays_app.views.diff import MOST_LINES, MOST_ROWS, compare
from tests import factories
from tests.web.conftest import HTMX

TEXT = """\
# Please, always.
name: Manners
invariants:
  - id: polite  # the house rule
    type: contains
    value: please
"""
STRICTER = TEXT.replace("please", "thank you")


@pytest.fixture
def manners(team) -> Contract:
    return save_text(team.project, TEXT, team.people["admin"]).contract


def read(team, name, *args, role="viewer", **query) -> str:
    response = team.client(role).get(team.url(name, *args), query)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def write(team, contract=None, *, role="responder", text=TEXT, base=None, **more):
    url = team.url("contract-edit", contract.pk) if contract else team.url("contract-new")
    base = base or (contract.current_id if contract else "")
    return team.client(role).post(url, {"text": text, "base": base, **more})


def page_of(response) -> str:
    return html.unescape(response.content.decode())


# --- Reading -------------------------------------------------------------------------------------


@pytest.fixture
def urls(team, manners) -> dict[str, str]:
    return {
        "contracts": team.url("contracts"),
        "contract": team.url("contract", manners.pk),
        "contract-revision": team.url("contract-revision", manners.pk, 1),
        "contract-changes": team.url("contract-changes", manners.pk),
        "contract-export": team.url("contract-export", manners.pk, 1),
        "contract-new": team.url("contract-new"),
        "contract-edit": team.url("contract-edit", manners.pk),
        "contract-check": team.url("contract-check"),
    }


READ = ("contracts", "contract", "contract-revision", "contract-changes", "contract-export")
WRITE = ("contract-new", "contract-edit", "contract-check")


@pytest.mark.parametrize("role", ["viewer", "responder", "admin"])
@pytest.mark.parametrize("name", READ)
def test_every_member_reads_contracts(urls, team, role, name):
    assert team.client(role).get(urls[name]).status_code == 200


@pytest.mark.parametrize("name", [*READ, *WRITE])
def test_another_projects_member_finds_no_contract(urls, team, name):
    client = team.client("stranger")
    response = client.post(urls[name]) if name in WRITE else client.get(urls[name])
    assert response.status_code == 404


@pytest.mark.parametrize("name", READ[1:])
def test_a_contract_is_not_found_below_another_project(urls, team, name):
    other = factories.project()
    factories.Membership.objects.create(project=other, user=team.people["admin"], role="admin")
    url = urls[name].replace(f"/p/{team.project.slug}/", f"/p/{other.slug}/")
    assert team.client("admin").get(url).status_code == 404


@pytest.mark.parametrize("name", WRITE)
def test_a_viewer_may_not_write_a_contract(urls, team, name):
    assert team.client("viewer").post(urls[name], {"text": TEXT}).status_code == 403


@pytest.mark.database
def test_the_list_names_revision_invariants_and_incidents(team, manners):
    factories.incident(team.project, contract=manners)
    row = read(team, "contracts").split("Manners</a>")[1].split("</tr>")[0]
    assert "r1" in row
    assert row.count('<td class="end">1</td>') == 2
    assert str(team.people["admin"]) in row


@pytest.fixture
def bare(team):
    """The team in a project that has no contract yet."""
    project = factories.project()
    for role in ("viewer", "responder"):
        factories.Membership.objects.create(project=project, user=team.people[role], role=role)
    return replace(team, project=project)


def test_a_project_without_contracts_learns_what_one_is(bare):
    team = bare
    assert "Write the first contract" in read(team, "contracts", role="responder")
    assert "Write the first contract" not in read(team, "contracts")


@pytest.mark.database
def test_the_list_goes_on_by_cursor_in_the_order_of_names(bare):
    team = bare
    names = [f"c{number:03}" for number in range(120)]
    for name in reversed(names):
        factories.contract(team.project, factories.contract_value(name))
    seen: list[str] = []
    query: dict[str, int] = {}
    for _ in range(3):
        response = team.client("viewer").get(team.url("contracts"), query)
        part = response.context["page"]
        seen += [row.name for row in part.rows]
        query = {"after": part.after}
    assert seen == names
    assert part.after is None
    back = team.client("viewer").get(team.url("contracts"), {"before": part.before})
    assert [row.name for row in back.context["page"].rows] == names[50:100]


def test_the_list_asks_the_same_number_of_queries_however_long_it_is(team, manners):
    client = team.client("viewer")

    def ask() -> list[str]:
        with CaptureQueriesContext(connection) as asked:
            client.get(team.url("contracts"))
        return [query["sql"] for query in asked]

    few = ask()
    for _ in range(30):
        factories.contract(team.project)
    many = ask()
    assert len(many) == len(few)
    assert not any('contractrevision"."text"' in sql for sql in many)
    assert not any(', "replays_app_contractrevision"."body"' in sql for sql in many)


def test_a_contract_is_shown_in_words_with_its_chaos_and_its_warnings(team):
    value = factories.contract_value(
        "Weather <b>",
        description="Whatever happens.",
        chaos_matrix=[
            {"name": "storm", "tool_faults": [{"tool": "*", "mode": "timeout", "delay_ms": 5}]}
        ],
    )
    contract = factories.contract(team.project, value)
    response = team.client("viewer").get(team.url("contract", contract.pk))
    assert "Weather <b>" not in response.content.decode()
    page = page_of(response)
    for words in (
        "the answer contains “please”",
        "high",
        "Whatever happens.",
        "every tool: timeout, delay ms 5",
        "chaos_matrix is kept, and not run by this version: storm",
    ):
        assert words in page


def test_a_contract_names_its_incidents_by_pages(team, manners, django_assert_max_num_queries):
    for _ in range(60):
        factories.incident(team.project, contract=manners)
    client = team.client("viewer")
    with django_assert_max_num_queries(9):
        response = client.get(team.url("contract", manners.pk))
    part = response.context["incidents"]
    assert [i.number for i in part.rows] == list(range(60, 10, -1))
    assert f"after={part.after}#incidents" in page_of(response)
    older = team.client("viewer").get(team.url("contract", manners.pk), {"after": part.after})
    assert [i.number for i in older.context["incidents"].rows] == list(range(10, 0, -1))


def test_a_stored_contract_that_cannot_be_read_is_shown_with_the_reason(team, manners):
    ContractRevision.objects.filter(contract=manners).update(
        body={"name": "Manners", "invariants": [{"type": "telepathy"}], "unheard": 1}
    )
    page = read(team, "contract", manners.pk)
    assert "This version cannot read what is stored" in page
    assert "telepathy" in page


def test_a_revision_keeps_its_page_its_text_and_its_export(team, manners):
    save_text(team.project, STRICTER, None, contract=manners, base=manners.current_id)
    page = read(team, "contract-revision", manners.pk, 1)
    assert "# the house rule" in page
    assert "r2 is current" in page
    client = team.client("viewer")
    assert client.get(team.url("contract-export", manners.pk, 1)).content.decode() == TEXT
    assert client.get(team.url("contract-revision", manners.pk, 3)).status_code == 404


def test_changes_are_told_by_signs_and_not_only_by_colour(team, manners):
    save_text(team.project, STRICTER, None, contract=manners, base=manners.current_id)
    page = read(team, "contract-changes", manners.pk)
    assert "r1 → r2: 1 line added (+), 1 removed (−)." in page
    assert "<del><b>-</b>     value: please</del>" in page
    assert "<ins><b>+</b>     value: thank you</ins>" in page
    same = read(team, "contract-changes", manners.pk, **{"from": 1, "to": 1})
    assert "r1 and r1 read the same." in same


# --- Writing -------------------------------------------------------------------------------------


def test_a_new_contract_is_saved_with_its_text_and_leads_to_its_page(team):
    response = write(team, text=TEXT.replace("\n", "\r\n"))
    contract = team.project.contracts.get(name="Manners")
    assert (response.status_code, response["Location"]) == (303, team.url("contract", contract.pk))
    assert contract.current.text == TEXT
    assert contract.current.created_by == team.people["responder"]
    assert not contract.current.body.get("description")


def test_a_saved_text_is_the_next_revision_and_the_editor_shows_its_comments(team, manners):
    assert "# the house rule" in read(team, "contract-edit", manners.pk, role="responder")
    assert write(team, manners, text=STRICTER).status_code == 303
    manners.refresh_from_db()
    assert (manners.current.number, manners.current.text) == (2, STRICTER)


def test_a_contract_that_came_as_a_value_is_written_out_for_the_editor(team):
    page = read(team, "contract-edit", team.contract.pk, role="responder")
    assert "invariants:\n- id: polite\n" in page


def test_other_comments_change_the_text_and_make_no_revision(team, manners):
    write(team, manners, text=TEXT + "# the end\n")
    manners.refresh_from_db()
    assert (manners.revisions.count(), manners.current.text) == (1, TEXT + "# the end\n")
    assert team.project.activities.filter(verb="contract text changed").exists()


BROKEN = [
    (TEXT.replace("value:", "vlaue:"), "invariants[0].vlaue", "6", "did you mean value?"),
    (TEXT.replace("contains", "contanis"), "invariants[0].type", "5", "did you mean contains?"),
    ("name: [\n", "", "2", "is not valid YAML"),
    (TEXT + "---\n" + TEXT, "", "", "holds 2 documents"),
    ("# nothing\n", "", "", "is empty"),
    (TEXT.replace("Manners", "M" * 201), "name", "2", "limit 200"),
    (TEXT.replace("please", "!!python/object:os.system x"), "", "6", "is not read; remove it"),
]


@pytest.mark.parametrize(("text", "field", "line", "words"), BROKEN)
@pytest.mark.parametrize("do", ["save", "check"])
def test_a_broken_text_is_kept_and_every_problem_has_line_field_and_remedy(
    team, text, field, line, words, do
):
    response = write(team, text=text, do=do)
    assert response.status_code == (422 if do == "save" else 200)
    page = page_of(response)
    assert f"\n{text}</textarea>" in page
    assert words in page
    assert f"<code>{field or '–'}</code>" in page
    assert f'<th scope="row">{line or "–"}</th>' in page
    assert not team.project.contracts.filter(name="Manners").exists()


def test_all_problems_are_shown_at_once(team):
    text = TEXT.replace("value:", "vlaue:").replace("name:", "nam:")
    assert "<b>4 problems.</b>" in page_of(write(team, text=text))


def test_typing_is_answered_with_the_problems_alone(team):
    client = team.client("responder")
    url = team.url("contract-check")
    broken = client.post(url, {"text": BROKEN[0][0]}, headers=HTMX)
    assert "did you mean value?" in page_of(broken)
    assert "<html" not in page_of(broken)
    good = page_of(client.post(url, {"text": TEXT}, headers=HTMX))
    assert "It reads well: 1 invariant." in good
    empty = page_of(client.post(url, {"text": ""}, headers=HTMX))
    assert "Write the contract first." in empty


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "Write the contract first."), ("x" * 200_001, "at most 200000 characters")],
)
def test_a_text_that_is_no_text_is_refused_at_the_field(team, text, words):
    response = write(team, text=text)
    assert response.status_code == 422
    assert words in page_of(response)


def test_a_new_contract_with_the_name_of_another_is_refused_and_leads_there(team, manners):
    response = write(team, text=STRICTER)
    page = page_of(response)
    assert response.status_code == 422
    assert "A contract 'Manners' is here already." in page
    assert team.url("contract-edit", manners.pk) in page
    assert manners.revisions.count() == 1


def test_a_contract_keeps_its_name_and_a_changed_one_is_refused_with_the_remedy(team, manners):
    response = write(team, manners, text=TEXT.replace("Manners", "Habits"))
    page = page_of(response)
    assert response.status_code == 422
    assert "this contract is 'Manners'" in page
    assert "save the text as a new contract" in page
    assert "name: Habits" in page
    assert team.project.contracts.filter(name="Habits").count() == 0


def test_somebody_elses_revision_is_said_and_not_overwritten_unseen(team, manners):
    opened = manners.current_id
    other = save_text(team.project, STRICTER, team.people["admin"], contract=manners, base=opened)
    mine = TEXT.replace("please", "bitte")
    response = write(team, manners, text=mine, base=opened)
    page = page_of(response)
    assert response.status_code == 422
    assert f"r2 was saved by {team.people['admin']} after you had opened r1." in page
    assert mine in page
    assert f"{team.url('contract-changes', manners.pk)}?from=1&to=2" in page
    assert f'name="base" value="{other.pk}"' in page
    manners.refresh_from_db()
    assert manners.current == other
    assert write(team, manners, text=mine).status_code == 303
    manners.refresh_from_db()
    assert manners.current.number == 3


def test_an_api_keeps_the_text_of_a_revision_that_it_saves_again(team, manners):
    save_contract(team.project, manners.current.body, None)
    manners.refresh_from_db()
    assert manners.current.text == TEXT


def test_a_contract_that_still_judges_stored_attempts_says_so(team, manners):
    ContractRevision.objects.filter(contract=manners).update(rejudged_at=None)
    assert "r1 still judges stored attempts." in read(team, "contract", manners.pk)
    ContractRevision.objects.filter(contract=manners).update(rejudged_at=timezone.now())
    assert "still judges stored attempts" not in read(team, "contract", manners.pk)


# --- Differences ---------------------------------------------------------------------------------


def kinds(before: str, after: str) -> list[tuple[str, str]]:
    return [(r.kind, r.text) for r in compare(before, after, old="a", new="b").rows]


LINES = [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        (LINES, LINES, []),
        ([], ["x"], [("gap", "line 1"), ("added", "x")]),
        (["x"], [], [("gap", "line 1"), ("removed", "x")]),
        (
            LINES,
            [*LINES[:9], "ten", *LINES[10:]],
            [
                ("gap", "line 7"),
                *(("same", n) for n in ("7", "8", "9")),
                ("removed", "10"),
                ("added", "ten"),
                *(("same", n) for n in ("11", "12", "13")),
            ],
        ),
        (
            LINES,
            [*LINES[1:], "21"],
            [
                ("gap", "line 1"),
                ("removed", "1"),
                *(("same", n) for n in ("2", "3", "4")),
                ("gap", "line 17"),
                *(("same", n) for n in ("18", "19", "20")),
                ("added", "21"),
            ],
        ),
    ],
)
def test_a_difference_shows_the_changed_lines_and_a_few_around(before, after, rows):
    assert kinds("\n".join(before), "\n".join(after)) == rows


def test_a_difference_is_bounded_and_says_so():
    many = "\n".join(map(str, range(MOST_ROWS + 10)))
    assert compare("", many, old="a", new="b").is_cut
    too_many = "\n".join(map(str, range(MOST_LINES + 1)))
    diff = compare("", too_many, old="a", new="b")
    assert diff.is_too_long
    assert not diff.is_same


# --- Dry run -------------------------------------------------------------------------------------


@pytest.fixture
def tried(team, manners):
    """Two incidents of the contract, one of whose answers it would not have caught, and a stored
    attempt."""
    values = [
        factories.session_value("Manners", recorded_output=answer)
        for answer in ("No idea.", "No idea, please <b>.")
    ]
    found = [
        factories.incident(team.project, agent=team.agent, contract=manners, payload=value)
        for value in values
    ]
    run = factories.run(found[0], team.version, started_at=timezone.now())
    factories.attempt(run, "passed", answer="please")
    return found


def test_a_stored_revision_can_be_tried_by_everybody(team, manners, tried):
    page = read(team, "contract-try", manners.pk, 1)
    assert "Would have caught 1 of 2 recorded bad answers." in page
    assert "Of 1 stored attempt, <b>0 would be judged otherwise</b>." in page
    assert f"?look={tried[1].number}#look-{tried[1].number}" in page


def test_a_typed_contract_is_tried_before_it_is_saved(team, manners, tried):
    response = write(team, manners, text=STRICTER, do="try")
    page = page_of(response)
    assert response.status_code == 200
    assert "Would have caught 2 of 2 recorded bad answers." in page
    assert "<b>1 would be judged otherwise</b>: 1 passed → failed." in page
    assert f"{team.url('run', tried[0].runs.get().pk)}?attempt=1" in page
    assert f"\n{STRICTER}</textarea>" in page
    assert manners.revisions.count() == 1


def test_a_broken_text_is_not_tried(team, manners, tried):
    page = page_of(write(team, manners, text=BROKEN[0][0], do="try"))
    assert "did you mean value?" in page
    assert "Would have caught" not in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_each_check_saw_of_an_incident_is_shown_when_it_is_asked_for(
    team, manners, tried, headers
):
    number = tried[1].number
    typed = team.client("responder").post(
        team.url("contract-edit", manners.pk),
        {"text": STRICTER, "base": manners.current_id, "look": number},
        headers=headers,
    )
    stored = team.client("viewer").get(
        team.url("contract-try", manners.pk, 1), {"look": number}, headers=headers
    )
    assert '"thank you" not found' in page_of(typed)
    assert 'found "please"' in page_of(stored)
    for response in (typed, stored):
        assert response.status_code == 200
        assert ("<html" in page_of(response)) is not bool(headers)


def test_an_incident_of_another_project_cannot_be_looked_at(team, manners):
    url = team.url("contract-try", manners.pk, 1)
    assert team.client("viewer").get(url, {"look": 999}).status_code == 404


def test_a_new_contract_is_tried_on_the_projects_incidents(team, tried):
    page = page_of(write(team, text=STRICTER.replace("Manners", "New"), do="try"))
    assert "No incident uses it yet" in page
    assert "Would have caught 2 of 2 recorded bad answers." in page


def test_an_unreadable_revision_cannot_be_tried_and_says_why(team, manners):
    ContractRevision.objects.filter(contract=manners).update(body={"unheard": 1})
    assert "This version cannot read what is stored" in read(team, "contract-try", manners.pk, 1)
