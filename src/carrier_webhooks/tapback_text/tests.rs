use crate::domain::ReactionType::{self, Custom, Dislike, Emphasize, Laugh, Like, Love, Question};
use crate::messaging::inbound::TapbackWords;
use crate::store::tapback_texts::Quoted;

/// The words of a tapback text from the United States.
fn parse(input: &str) -> Option<TapbackWords> {
    super::parse(input, "+15551230001").map(|tapback| tapback.words)
}

fn text(whole: &str, beginning: Option<&str>) -> Quoted {
    Quoted::Text { whole: whole.to_owned(), beginning: beginning.map(str::to_owned) }
}

fn words(reaction: ReactionType, emoji: Option<&str>, removed: bool, quoted: Quoted) -> TapbackWords {
    TapbackWords { reaction, custom_emoji: emoji.map(str::to_owned), removed, quoted }
}

#[test]
fn every_tapback_text_of_an_iphone_is_parsed() {
    let eight = || text("see you at eight", None);
    for (input, reaction) in [
        ("Loved “see you at eight”", Love),
        ("Liked “see you at eight”", Like),
        ("Disliked “see you at eight”", Dislike),
        ("Laughed at “see you at eight”", Laugh),
        ("Emphasized “see you at eight”", Emphasize),
        ("Emphasised “see you at eight”", Emphasize),
        ("Questioned “see you at eight”", Question),
        ("Loved \"see you at eight\"", Love),
        (" Loved “see you at eight”\n", Love),
    ] {
        assert_eq!(parse(input), Some(words(reaction, None, false, eight())), "{input}");
    }
    for (input, reaction) in [
        ("Removed a heart from “see you at eight”", Love),
        ("Removed a like from “see you at eight”", Like),
        ("Removed a dislike from “see you at eight”", Dislike),
        ("Removed a laugh from “see you at eight”", Laugh),
        ("Removed an exclamation from “see you at eight”", Emphasize),
        ("Removed an exclamation mark from “see you at eight”", Emphasize),
        ("Removed a question mark from “see you at eight”", Question),
    ] {
        assert_eq!(parse(input), Some(words(reaction, None, true, eight())), "{input}");
    }
    for (input, emoji, removed) in [
        ("Reacted 🎉 to “see you at eight”", "🎉", false),
        ("Reacted 👨‍👩‍👧 to “see you at eight”", "👨‍👩‍👧", false),
        ("Reacted 1️⃣ to “see you at eight”", "1️⃣", false),
        ("Removed 🎉 from “see you at eight”", "🎉", true),
        ("Removed a 🎉 from “see you at eight”", "🎉", true),
        ("Removed a 🎉 reaction from “see you at eight”", "🎉", true),
    ] {
        assert_eq!(parse(input), Some(words(Custom, Some(emoji), removed, eight())), "{input}");
    }
    for input in ["Loved an image", "Loved a photo", "Loved an attachment"] {
        assert_eq!(parse(input), Some(words(Love, None, false, Quoted::File)), "{input}");
    }
    assert_eq!(parse("Reacted 🎉 to an image"), Some(words(Custom, Some("🎉"), false, Quoted::File)));
}

#[test]
fn a_truncated_quotation_is_parsed_with_its_beginning() {
    for (input, quoted) in [
        ("Loved “see you…”", text("see you…", Some("see you"))),
        ("Loved “see you ...”", text("see you ...", Some("see you"))),
        ("Loved “…”", text("…", None)),
        ("Loved “two\nlines”", text("two\nlines", None)),
        ("Loved “he input “no” to it”", text("he input “no” to it", None)),
        ("Liked “Removed a heart from “x””", text("Removed a heart from “x”", None)),
    ] {
        assert_eq!(parse(input).map(|words| words.quoted), Some(quoted), "{input}");
    }
}

#[test]
fn other_texts_are_not_tapbacks() {
    for input in [
        "",
        "Loved",
        "Loved it",
        "Loved “”",
        "Loved “ ”",
        "Loved “it” very much",
        "I Loved “it”",
        "loved “it”",
        "Reacted badly to “it”",
        "Reacted 5 to “it”",
        "Reacted 🎉 “it”",
        "Reacted 🎉 🎉 to “it”",
        "Removed a coat from “it”",
        "Removed a heart",
        "Hat “it” geliebt",
        "I liked “ok” more",
        "Liked “ok” more",
        "He said: Liked “ok”",
        "Removed 👍 to “ok”",
        "👍 for “ok”",
        "👍 “ok”",
        "… to “it”",
        "Reacted \u{fe0f} to “it”",
        "Reacted with a sticker to “it”",
        "Loved ein Bild",
        "“ok”",
        "„ok“",
        "「ok」",
        "«»",
        "“",
    ] {
        assert_eq!(parse(input), None, "{input}");
    }
}

/// Texts of real phones, independent of the table of wordings.
#[test]
fn tapbacks_in_other_languages_are_parsed() {
    for (input, reaction, removed, quoted) in [
        ("„Bis gleich“ ein Herz hinzugefügt", Love, false, "Bis gleich"),
        ("Gefällt: \"Bis gleich\"", Like, false, "Bis gleich"),
        ("„Gefällt mir“ von „Bis gleich“ entfernt", Like, true, "Bis gleich"),
        ("A ajouté un «\u{a0}J’adore\u{a0}» à «\u{a0}À demain\u{a0}».", Love, false, "À demain"),
        ("A ajouté un « J'aime » à « À demain »", Like, false, "À demain"),
        ("A retiré son «\u{202f}J’aime\u{202f}» de «\u{202f}À demain\u{202f}».", Like, true, "À demain"),
        ("A aimé «À demain»", Like, false, "À demain"),
        ("a attribué la mention « Rires » à « À demain »", Laugh, false, "À demain"),
        ("Le gusta “hasta luego”", Like, false, "hasta luego"),
        ("Le dio risa “hasta luego”", Laugh, false, "hasta luego"),
        ("Dejó de encantarle “hasta luego”", Love, true, "hasta luego"),
        ("Curtiu “até logo”", Like, false, "até logo"),
        ("Removeu um coração de “até logo”", Love, true, "até logo"),
        ("Riu-se de “até logo”", Laugh, false, "até logo"),
        ("Ha aggiunto “Mi piace” a “a dopo”", Like, false, "a dopo"),
        ("Non trova più divertente “a dopo”", Laugh, true, "a dopo"),
        ("Vond ‘tot straks’ leuk", Like, false, "tot straks"),
        ("Verwijderde een hartje van 'tot straks'", Love, true, "tot straks"),
        ("“また明日”に「ハート」と応答", Love, false, "また明日"),
        ("「また明日」から「!!」を削除", Emphasize, true, "また明日"),
        ("‘내일 봐’에 좋아요 표시함", Like, false, "내일 봐"),
        ("'내일 봐'에서 하트 표시 제거함", Love, true, "내일 봐"),
        ("比心：明天见", Love, false, "明天见"),
        ("收回了赞:明天见", Like, true, "明天见"),
        ("喜歡「明天見」", Like, false, "明天見"),
        ("已收回喜歡「明天見」", Like, true, "明天見"),
        ("讚好『明天見』", Like, false, "明天見"),
    ] {
        assert_eq!(parse(input), Some(words(reaction, None, removed, text(quoted, None))), "{input}");
    }
    for (input, removed) in [
        ("Hat mit 🎉 auf „ok“ reagiert", false),
        ("🎉 aus „ok“ entfernt", true),
        ("A réagi avec 🎉 à « ok »", false),
        ("Reaccionó con 🎉 a “ok”", false),
        ("Ha eliminado 🎉 de “ok”.", true),
        ("Reagiu com “🎉” a “ok”", false),
        ("Ha rimosso 🎉 da “ok”", true),
        ("Reageerde met 🎉 op 'ok'", false),
        ("“\u{200a}ok\u{200a}”に\u{200a}🎉\u{200a}でリアクションしました", false),
        ("‘ok’에서 🎉 표시 제거함", true),
        ("用🎉回应了“ok”", false),
        ("收回了🎉：ok", true),
        ("已用🎉回應「ok」", false),
    ] {
        assert_eq!(parse(input), Some(words(Custom, Some("🎉"), removed, text("ok", None))), "{input}");
    }
    assert_eq!(parse("Le encantó una imagen"), Some(words(Love, None, false, Quoted::File)));
}

#[test]
fn the_same_words_mean_different_reactions_in_portugal_and_in_brazil() {
    for (sender, reaction) in [("+5511912345678", Love), ("+351912345678", Like), ("", Love)] {
        let tapback = super::parse("Gostou de “até logo”", sender).unwrap();
        assert_eq!(tapback.words.reaction, reaction, "{sender}");
    }
}

#[test]
fn reactions_of_google_messages_are_parsed_in_any_language() {
    for (input, removed, visible) in [
        (
            "\u{200a}\u{200b}👍\u{200b} to “\u{200a}See you at 8\u{200a}”\u{200a}",
            false,
            "👍 to “See you at 8”",
        ),
        ("\u{200b}👍\u{200b} to \"See you at 8\"", false, "👍 to \"See you at 8\""),
        ("\u{2060}👍\u{2060} to “\u{2060}See you at 8\u{2060}”", false, "👍 to “See you at 8”"),
        ("👍 to “See you at 8”", false, "👍 to “See you at 8”"),
        (
            "\u{200a}Removed \u{200c}👍\u{200c} from “\u{200a}See you at 8\u{200a}”\u{200a}",
            true,
            "Removed 👍 from “See you at 8”",
        ),
        ("Removed \u{200c}👍\u{200c} from “See you at 8”", true, "Removed 👍 from “See you at 8”"),
        (
            "\u{200a}Fjernede \u{200c}👍\u{200c} fra «\u{200a}See you at 8\u{200a}»\u{200a}",
            true,
            "Fjernede 👍 fra «See you at 8»",
        ),
        (
            "\u{200a}„\u{200a}See you at 8\u{200a}” üzenetre: \u{200b}👍\u{200b}\u{200a}",
            false,
            "„See you at 8” üzenetre: 👍",
        ),
    ] {
        let tapback = super::parse(input, "").unwrap_or_else(|| panic!("{input:?}"));
        let quoted = text("See you at 8", None);
        assert_eq!(tapback.words, words(Custom, Some("👍"), removed, quoted), "{input:?}");
        assert_eq!(tapback.visible, visible);
    }
    for input in [
        "\u{200b}👍\u{200b}",
        "\u{200b}👍\u{200c} hos “ok”",
        "\u{200b}ok\u{200b} hos “ok”",
        "\u{200b}👍\u{200b} hos “\u{200a}”",
        "می\u{200c}خواهم “ok”",
    ] {
        assert_eq!(super::parse(input, ""), None, "{input:?}");
    }
}

#[test]
fn a_text_without_invisible_characters_is_shown_as_it_came() {
    let tapback = super::parse(" Loved “ok” \n", "").unwrap();
    assert_eq!(tapback.visible, " Loved “ok” \n");
    // What the human wrote keeps its own ones.
    let persian = "\u{200a}\u{200b}👍\u{200b} to “\u{200a}می\u{200c}خواهم\u{200a}”\u{200a}";
    assert_eq!(super::parse(persian, "").unwrap().visible, "👍 to “می\u{200c}خواهم”");
}

#[test]
fn hostile_texts_are_read_quickly_and_without_panics() {
    let long = "x".repeat(10_000);
    let liked = format!("Liked “{long}”");
    assert_eq!(parse(&liked).unwrap().quoted, text(&long, None));
    for part in [
        "“",
        "”",
        "\"",
        "「",
        "« ",
        "\u{200a}",
        "\u{200b}",
        "👍",
        "\u{200b}👍",
        "\u{202e}",
        "\u{fe0f}",
        "Liked “",
    ] {
        let repeated = part.repeat(10_000);
        for input in [
            repeated.clone(),
            format!("Liked {repeated}"),
            format!("Removed {repeated} from “x”"),
            format!("{repeated} to “x”"),
            format!("“x”に{repeated}でリアクションしました"),
            format!("„{repeated}“ ein Herz hinzugefügt"),
        ] {
            let _ = parse(&input);
        }
    }
    // Right to left, with the marks that phones add.
    let hebrew = "\u{200f}Liked “\u{2067}נתראה בשמונה\u{2069}”\u{200f}";
    assert_eq!(parse(hebrew), Some(words(Like, None, false, text("נתראה בשמונה", None))));
    assert_eq!(parse("Liked “„«「x」»“”").unwrap().quoted, text("„«「x」»“", None));
}
