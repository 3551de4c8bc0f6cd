"""Encodings: certain by mark or by validity, else guessed and said, else refused."""

from __future__ import annotations

import codecs
import gzip
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadOption, EncodingFailed
from core.table import Overrides
from core.table.mixed import UTF8_OR_CP1252
from tests.core.table.reading import format_of, read_upload

REVIEWS = {
    "French": "L'hôtel était très agréable, déjà réservé à Noël. Ça m'a plu énormément, où êtes-vous allés ?",
    "German": "Die Größe passt, schöne Qualität für den Preis. Würde ich wieder kaufen, aber die Lieferung war zäh.",
    "English": "It’s great — I’d “definitely” buy again… café prices are €5.",
    "Spanish": "¡Qué maravilla! El año pasado compré uno y funcionó muy bien. ¿Dónde está la opción de devolución?",
    "Portuguese": "Ótimo produto, recomendo a todos. A entrega não demorou, mas a caixa chegou danificada. Coração.",
    "Swedish": "Mycket bra produkt, jag rekommenderar den varmt. Leveransen var snabb men lådan var förstörd.",
    "Polish": "Bardzo dobry produkt, polecam każdemu! Przesyłka dotarła szybko, choć pudełko było zniszczone.",
    "Czech": "Výborný výrobek, doporučuji všem. Dodání bylo rychlé, ale krabice přišla poškozená. Příště znovu.",
    "Hungarian": "Kitűnő termék, mindenkinek ajánlom! A szállítás gyors volt, de a doboz sérült. Köszönöm.",
    "Turkish": "Ürün çok güzel, kargo hızlı geldi ama kutu hasarlıydı. Teşekkürler, herkese tavsiye ederim.",
    "Russian": "Отличный товар, всем рекомендую! Доставка быстрая, но коробка была повреждена.",
    "Greek": "Εξαιρετικό προϊόν, το συνιστώ σε όλους. Η παράδοση ήταν γρήγορη αλλά το κουτί ήταν χαλασμένο.",
    "Hebrew": "מוצר מצוין, ממליץ לכולם. המשלוח היה מהיר אבל הקופסה הגיעה פגומה.",
    "Arabic": "منتج ممتاز أنصح به للجميع. كان التوصيل سريعا لكن الصندوق كان تالفا.",
    "Thai": "สินค้าดีมาก แนะนำให้ทุกคน จัดส่งรวดเร็วแต่กล่องเสียหาย",
    "Japanese": "とても良い商品です。配送も早かったですが、箱が壊れていました。また購入します。",
    "Chinese": "一个非常好的产品，推荐给大家。快递很快，但是盒子坏了。下次还会购买。",
    "Taiwanese": "非常好的產品，推薦給大家。快遞很快，但是盒子壞了。下次還會購買。",
    "Korean": "정말 좋은 제품입니다. 배송도 빨랐지만 상자가 파손되었습니다. 다시 구매하겠습니다.",
}
GUESSED = [
    ("French", "latin-1"),
    ("French", "cp1252"),
    ("French", "iso8859-15"),
    ("French", "mac-roman"),
    ("French", "cp850"),
    ("German", "cp1252"),
    ("English", "cp1252"),
    ("Spanish", "latin-1"),
    ("Portuguese", "latin-1"),
    ("Swedish", "latin-1"),
    ("Polish", "cp1250"),
    ("Polish", "iso8859-2"),
    ("Czech", "cp1250"),
    ("Czech", "iso8859-2"),
    ("Hungarian", "cp1250"),
    ("Turkish", "cp1254"),
    ("Turkish", "iso8859-9"),
    ("Russian", "cp1251"),
    ("Russian", "koi8-r"),
    ("Russian", "cp866"),
    ("Russian", "iso8859-5"),
    ("Greek", "cp1253"),
    ("Greek", "iso8859-7"),
    ("Hebrew", "cp1255"),
    ("Arabic", "cp1256"),
    ("Thai", "cp874"),
    ("Japanese", "shift_jis"),
    ("Japanese", "cp932"),
    ("Japanese", "euc_jp"),
    ("Japanese", "iso2022_jp"),
    ("Chinese", "gb2312"),
    ("Chinese", "gbk"),
    ("Chinese", "gb18030"),
    ("Taiwanese", "big5"),
    ("Korean", "euc_kr"),
    ("Korean", "cp949"),
]
CERTAIN = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("language", REVIEWS)
@pytest.mark.parametrize("encoding", CERTAIN)
def test_certain_encodings_are_read_without_a_warning(language: str, encoding: str) -> None:
    text = REVIEWS[language]
    table = read_upload(f'id,text\n1,"{text}"\n2,fine\n'.encode(encoding))
    assert table.rows == [["1", text], ["2", "fine"]]
    assert table.fmt.encoding == encoding
    assert table.codes == set()


@pytest.mark.parametrize(("language", "encoding"), GUESSED)
def test_other_encodings_are_guessed_and_said(language: str, encoding: str) -> None:
    text = REVIEWS[language]
    table = read_upload(f'id,text,rating\r\n1,fine,5\r\n2,"{text}",4\r\n'.encode(encoding))
    assert table.rows == [["1", "fine", "5"], ["2", text, "4"]]
    (warning,) = table.fmt.warnings
    assert warning.code == "encoding_guessed"
    assert f"read as {table.fmt.encoding} (" in warning.message


def test_the_first_letter_may_come_after_megabytes() -> None:
    rows = b"1,plain\n" * 400_000
    table = format_of(b"id,text\n" + rows + "1,Größe\n".encode("cp1252") + rows)
    assert (table.encoding, table.warnings[0].line) == ("cp1252", 400_002)
    assert "Größe" in table.warnings[0].message
    packed = gzip.compress(b"id,text\n" + rows + "1,отличный товар\n".encode("cp1251") + rows, 1)
    assert format_of(packed).encoding == "cp1251"


def test_one_letter_is_taken_as_western() -> None:
    assert read_upload(b"id,name\n1,english\n2,\xa9\n").rows[1] == ["2", "©"]


def test_a_byte_that_cp1252_lacks_makes_it_another() -> None:
    table = read_upload(b"id,text\n1,\x9d \xe9t\xe9\n")
    assert table.fmt.encoding != "cp1252"
    assert "encoding_guessed" in table.codes


DAMAGED = {
    "a byte in UTF-8": ("id,text\n1,é è à ç\n2,fi".encode() + b"\xffne\n", ["é è à ç", "fiÿne"], "é è à ç 2,fiÿne"),
    "a cut character": (
        "id,text\n1,«Größe»\n2,schö".encode()[:-1] + b"\n3,fine\n",
        ["«Größe»", "schÃ", "fine"],
        "Größe» 2,schÃ 3,fine",
    ),
    "a byte after a UTF-8 mark": (b"\xef\xbb\xbfid,text\n1,fine\n2,\x80\n", ["fine", "€"], "xt 1,fine 2,€"),
    "a byte far down": (
        b"id,text\n1," + 400_000 * "ü".encode() + b"\n2,\x93well\x94\n",
        [400_000 * "ü", "“well”"],
        "üüüüüüüüü 2,“well”",
    ),
}


@pytest.mark.parametrize(("data", "rows", "shown"), DAMAGED.values(), ids=DAMAGED)
def test_utf8_with_a_few_wrong_bytes_keeps_its_other_letters(data: bytes, rows: list[str], shown: str) -> None:
    table = read_upload(data)
    assert [row[1] for row in table.rows] == rows
    (warning,) = table.fmt.warnings
    assert (warning.code, warning.line) == ("encoding_mixed", 3)
    assert f'"{shown}"' in warning.message
    assert format_of(data, encoding="latin-1").encoding == "iso8859-1"


@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4).map(sorted))
def test_mixed_reads_every_byte_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole = data.decode(UTF8_OR_CP1252)
    decoder = codecs.getincrementaldecoder(UTF8_OR_CP1252)("strict")
    pieces = [data[start:stop] for start, stop in pairwise([0, *cuts, 60])]
    assert "".join(map(decoder.decode, pieces)) + decoder.decode(b"", True) == whole
    assert whole.encode(UTF8_OR_CP1252).decode() == whole
    with suppress(UnicodeDecodeError):
        assert whole == data.decode()
    at = data.find(b"\xff")
    if at >= 0:
        assert whole == data[:at].decode(UTF8_OR_CP1252) + "ÿ" + data[at + 1 :].decode(UTF8_OR_CP1252)


@pytest.mark.parametrize("far", [0, 3_000_000])
def test_western_letters_with_utf8_pasted_in_are_both_read(far: int) -> None:
    rows = "1,très agréable, déjà vu à Noël\n2,“pasted”\n3,fin\n".replace(", ", " ").splitlines(keepends=True)
    data = b"id,text\n" + rows[0].encode("cp1252") + b"9,plain\n" * (far // 8) + rows[1].encode() + rows[2].encode()
    table = read_upload(data)
    assert table.fmt.encoding == UTF8_OR_CP1252
    assert (table.rows[0][1], table.rows[-2][1]) == ("très agréable déjà vu à Noël", "“pasted”")
    assert table.codes == {"encoding_guessed"}
    assert format_of(b"id,text\n" + rows[0].encode("cp1252") * 9).encoding == "cp1252"


ASIAN = {
    "cp932": "この商品はとても良いです。また買いたいと思います。",
    "euc_jis_2004": "この商品はとても良いです。また買いたいと思います。",
    "gb18030": "这个产品非常好，我会再买的。质量不错。",
    "big5hkscs": "這個產品非常好，我會再買的。品質不錯。",
    "cp949": "이 제품은 정말 좋아요. 다시 구매할 것입니다.",
}


@pytest.mark.parametrize("n_bytes", [1, 3])
@pytest.mark.parametrize("encoding", ASIAN)
def test_a_character_that_is_cut_changes_no_encoding(encoding: str, n_bytes: int) -> None:
    rows = [f"{n},{ASIAN[encoding]}".encode(encoding) for n in range(50)]
    rows[3] = rows[3][:-n_bytes]
    table = read_upload(b"id,text\n" + b"\n".join(rows) + b"\n")
    assert table.fmt.encoding == encoding
    texts = [row[1] for row in table.rows]
    assert texts[:3] + texts[4:] == [ASIAN[encoding]] * 49
    assert texts[3].startswith(ASIAN[encoding][:-3])


def test_mixed_can_be_named() -> None:
    table = read_upload(b"id,text\n1,caf\xe9\x81\n", encoding="UTF_8-or-CP1252")
    assert table.rows == [["1", "café\x81"]]


def test_an_override_wins() -> None:
    data = "id,text\n1,Größe\n".encode()
    assert read_upload(data, encoding="cp1252").rows == [["1", "GrÃ¶ÃŸe"]]
    assert read_upload("id,text\n1,żółć\n".encode("cp1250"), encoding="Windows-1250").rows == [["1", "żółć"]]


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "ascii", "utf-8-sig"])
def test_a_mark_is_no_letter_whatever_the_user_says(name: str) -> None:
    assert format_of("id,text\n1,a\n".encode("utf-8-sig"), encoding=name).header == ("id", "text")
    assert format_of("id,text\n1,a\n".encode("utf-16"), encoding="utf-16-le").header == ("id", "text")


@pytest.mark.parametrize(
    ("data", "encoding", "line"),
    [
        ("id,text\n1,Größe\n".encode("cp1252"), "utf-8", 2),
        ("id,text\n1,Größe\n".encode("cp1252"), "ascii", 2),
        (b"id,text\n1,\x81 \xe9\n", "cp932", None),
        (b"id,text\n1,fine!\n", "utf-16", None),
        (b"id,text\n1,fine!\n", "utf-32", None),
    ],
)
def test_an_override_that_does_not_fit_is_an_error(data: bytes, encoding: str, line: int | None) -> None:
    with pytest.raises(EncodingFailed) as caught:
        format_of(data, encoding=encoding)
    assert caught.value.line == line


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "zlib", "unicode_escape", "idna", "", "a\0b"])
def test_what_is_no_encoding_of_files_is_no_option(name: str) -> None:
    with pytest.raises(BadOption):
        Overrides(encoding=name)
