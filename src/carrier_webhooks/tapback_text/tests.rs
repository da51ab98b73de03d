use super::parse;
use crate::domain::ReactionType::{self, Custom, Dislike, Emphasize, Laugh, Like, Love, Question};
use crate::messaging::inbound::TapbackWords;
use crate::store::tapback_texts::Quoted;

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
    ] {
        assert_eq!(parse(input), None, "{input}");
    }
}
