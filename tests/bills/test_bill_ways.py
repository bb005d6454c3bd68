"""Bills by HTTP and by command: the same imports, the same differences."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from faregate.wire import exact_json
from support.apps import Gateway, open_gateway, settings_for
from support.processes import run_command

CSV = b"Date,Model,In,Out,Total\n2026-11-01,gpt-4o,100,10,0.00035\n2026-11-02,no-such-model,1,1,0.5\n"
MAP = "time=Date,model=Model,input_tokens=In,output_tokens=Out,cost_usd=Total"
QUERY = {"source": "csv", "provider": "openai", "map": MAP, "file_name": "november.csv"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway


async def test_a_bill_is_imported_compared_listed_and_removed(gateway: Gateway) -> None:
    headers = {"content-type": "text/csv"}
    made = await gateway.call("POST", f"/api/bills?{urlencode(QUERY)}", CSV, headers=headers)
    again = await gateway.call("POST", f"/api/bills?{urlencode(QUERY)}", CSV, headers=headers)
    listed = await gateway.get("/api/bills")
    lines = await gateway.get(f"/api/bills/{made.data['import_id']}/lines?limit=1")
    rest = await gateway.get(f"/api/bills/{made.data['import_id']}/lines?cursor={lines.body['meta']['next_cursor']}")
    found = await gateway.get("/api/bills/comparison?provider=openai")
    one = await gateway.get("/api/bills/comparison?provider=openai&kind=unknown_model")
    audited = await gateway.get("/api/audit?action=bills.*")

    assert (made.status, made.data["added"], made.data["cost_usd"]) == (200, 2, exact_json.loads("0.50035"))
    assert (again.data["import_id"], again.data["added"], again.data["known"]) == (made.data["import_id"], 0, 2)
    assert [each["file_name"] for each in listed.data] == ["november.csv"]
    assert [lines.data[0]["number"], rest.data[0]["number"]] == [2, 3]
    assert found.data["counts"] == {
        "lost": 1,
        "doubled": 0,
        "mispriced": 0,
        "late": 0,
        "unknown_model": 1,
        "unseen_tokens": 0,
    }
    assert [each["kind"] for each in one.data["differences"]] == ["unknown_model"]
    assert one.data["differences"][0]["bill_rows"] == [{"import_id": made.data["import_id"], "number": 3}]
    assert audited.data[0]["target"]["import_id"] == made.data["import_id"]
    assert (await gateway.call("DELETE", f"/api/bills/{made.data['import_id']}")).status == 200
    assert (await gateway.get("/api/bills/comparison?provider=openai")).status == 404
    assert (await gateway.call("DELETE", f"/api/bills/{made.data['import_id']}")).status == 404


@pytest.mark.parametrize(
    ("query", "content", "param"),
    [
        ({"source": "openai"}, b"{}", "file"),
        ({"source": "csv", "map": MAP}, CSV, "provider"),
        ({"source": "csv", "provider": "p", "map": "time"}, CSV, "map"),
        ({"source": "other"}, CSV, "source"),
    ],
)
async def test_a_wrong_import_is_refused_by_field(
    gateway: Gateway, query: dict[str, str], content: bytes, param: str
) -> None:
    headers = {"content-type": "text/csv"}
    answer = await gateway.call("POST", f"/api/bills?{urlencode(query)}", content, headers=headers)

    assert (answer.status, answer.error["param"]) == (422, param)


async def test_the_commands_do_the_same(database_url: str, tmp_path: Path) -> None:
    given = {"FAREGATE_DATABASE_URL": database_url}
    file = tmp_path / "november.csv"
    file.write_bytes(CSV)
    columns = MAP.split(",")
    made = await run_command("bills", "import", "csv", str(file), *columns, "--provider", "openai", **given)
    compared = await run_command("bills", "compare", "openai", "--output", "json", **given)
    shown = await run_command("bills", "compare", "openai", **given)
    listed = await run_command("bills", "list", "--output", "json", **given)
    import_id = exact_json.loads(listed.out)[0]["import_id"]
    lines = await run_command("bills", "lines", import_id, **given)
    removed = await run_command("bills", "remove", import_id, **given)

    assert (made.code, compared.code, shown.code, lines.code, removed.code) == (0, 1, 1, 0, 0)
    assert "2 lines of openai: 2 new, 0 known, 0 replaced" in made.out
    assert [each["kind"] for each in exact_json.loads(compared.out)["differences"]] == ["lost", "unknown_model"]
    assert "unknown_model" in shown.out
    assert "no-such-model" in lines.out
