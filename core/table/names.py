"""What column names mean: which words name a text, and which name anything else.

The lists hold what exports of review, survey, support and social media tools are seen to use, in several languages.
Words are lower case without accents, as `parts` gives them.
"""

from __future__ import annotations

import re
import unicodedata

TEXT = frozenset(
    """
    text texts review reviews comment comments message messages msg body content contents feedback tweet post
    description note notes remark remarks sentence sentences utterance caption transcript response answer reply
    opinion testimonial complaint narrative verbatim quote quotes statement selftext fulltext summary observation
    observations question texte avis commentaire commentaires remarque remarques reponse contenu bewertung kommentar
    kommentare nachricht inhalt rezension beschreibung bemerkung bemerkungen freitext antwort satz texto resena
    comentario comentarios mensaje contenido descripcion opiniones respuesta observaciones avaliacao mensagem
    conteudo descricao resposta testo recensione commento commenti messaggio contenuto descrizione risposta tekst
    recensie reactie bericht opmerking opmerkingen inhoud omschrijving opinia komentarz wiadomosc tresc recenzja
    opis текст отзыв отзывы комментарий комментарии сообщение содержание описание ответ yorum metin mesaj icerik
    aciklama 本文 テキスト レビュー コメント メッセージ 内容 感想 口コミ 評論 评论 文本 留言 正文 反馈
    리뷰 댓글 내용 본문 텍스트 نص تعليق مراجعة ביקורת תגובה
    טקסט
    """.split()
)
"""Words that name a column of texts."""

ABOUT = frozenset(
    """
    id ids uid uuid guid key code no nr num number count counts length len size date time datetime timestamp at on
    type types kind lang language url link href uri path file author user username name status state score rating
    stars rank likes votes label labels class category tag tags source version hash email phone index by to
    from
    """.split()
)
"""Words that make a name be about a text, not the text itself: ``review_id``, ``message type``, ``comment_count``."""

_OTHER = frozenset(
    """
    title headline subject titre titel titulo titolo betreff objet asunto oggetto 件名 标题 제목 age gender sex city
    country region address zip price amount total value val row column col year month day hour product item order
    customer client company brand store department first last created updated modified published emotion emotions
    sentiment topic group channel platform location latitude longitude lat lon subreddit nom prenom ville pays prix
    note datum nummer jahr ort land preis wert fecha nombre pais precio numero data nome anno citta prezzo дата имя
    город 日付 名前 日期 姓名 날짜 이름
    """.split()
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN = re.compile(r"[\W_\d]+")


def parts(name: str) -> list[str]:
    """The words of a column name, lower case, without accents: ``"ReviewText_1"`` → ``["review", "text"]``."""
    spaced = _CAMEL.sub(" ", name)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c))
    # NFC: Korean syllables come apart in NFKD.
    return [part for part in _BETWEEN.split(unicodedata.normalize("NFC", plain).lower()) if part]


def names_a_text(name: str) -> int:
    """How clearly a name is that of a column of texts: 2 in all of its words, 1 in some, 0 not."""
    words = parts(name)
    if not words or any(word in ABOUT for word in words):
        return 0
    if all(word in TEXT for word in words):
        return 2
    return int(any(word in TEXT for word in words))


def names_a_column(name: str) -> bool:
    """Whether every word is one that columns are named with, so that this is no cell of data."""
    words = parts(name)
    return bool(words) and all(word in TEXT or word in ABOUT or word in _OTHER for word in words)
