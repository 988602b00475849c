//! Which new passwords are too easily guessed.
//!
//! There are no rules of composition: they make people write `Passw0rd!`. What counts is how many
//! guesses somebody needs who tries common passwords, words, names, dates and keyboard patterns
//! first, and who knows the person's name, their e-mail and this product's name.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

use nightlatch_core::{
    BoxFuture, Deadline, HashError, NewPassword, Password, PasswordAssessor, Weakness,
};
use tokio::sync::SetOnce;
use zeroize::Zeroizing;
use zxcvbn::Entropy;
use zxcvbn::feedback::{Feedback, Warning};
use zxcvbn::matching::Match;
use zxcvbn::matching::patterns::MatchPattern;

use crate::hashing::HashPool;

/// A new password must withstand this many guesses, as a power of ten. Throttled guessing at the
/// server is over long before; a thief of the record, at some thousand argon2id hashes a second,
/// needs a day for one account. It is where the estimator's score turns from 2 to 3, but lets
/// eight random characters pass, which it puts exactly here.
const GUESSES_LOG10_MIN: f64 = 8.0;

/// The estimator sees a password in pieces of so many characters: its time grows with the square
/// of the length, and from 28 characters on its numbers overflow. A password is at least as hard
/// to guess as its hardest piece.
const PIECE_CHARS: usize = 24;
/// The most pieces that are looked at. Whose first hundred characters are guessable has typed one
/// thing over and over.
const PIECES_MAX: usize = 4;

/// Personal words from this length on are shortened before a password is cut into pieces: half an
/// e-mail address is no word that the estimator knows.
const LONG_WORD_CHARS: usize = 8;

/// The most words about the person that are looked at, and the most characters of each.
const WORDS_MAX: usize = 24;
const WORD_CHARS_MAX: usize = 64;

/// Shorter parts of names are in every password.
const WORD_CHARS_MIN: usize = 3;

impl PasswordAssessor for HashPool {
    fn assess(
        &self,
        candidate: NewPassword,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Option<Weakness>, HashError>> {
        if let Some(weakness) = too_short(&candidate.password) {
            return Box::pin(std::future::ready(Ok(Some(weakness))));
        }
        Box::pin(async move {
            self.within(deadline, self.tables.ready()).await?.map_err(|_no_thread| self.busy())?;
            let expected = self.expected_of_estimate();
            self.run(expected, deadline, move |_| Ok(too_guessable(&candidate))).await
        })
    }
}

/// The estimator's word lists and keyboards, which it builds when it is first used: some
/// milliseconds and megabytes, so not before somebody chooses a password.
///
/// They are built by a thread of normal priority. A hashing thread that does not get the core would
/// hold the lock that everybody waits for who estimates, the lifeguard too, for seconds.
#[derive(Default)]
pub(crate) struct Tables {
    is_begun: AtomicBool,
    are_ready: Arc<SetOnce<()>>,
}

impl Tables {
    /// Waits until they are built.
    async fn ready(&self) -> io::Result<()> {
        if !self.is_begun.swap(true, Ordering::Relaxed) {
            let are_ready = Arc::clone(&self.are_ready);
            let build = move || {
                let _estimate = zxcvbn::zxcvbn(LOOKED_UP_EVERYWHERE, &[]);
                let _first = are_ready.set(());
            };
            // The thread ends by itself; nothing is lost with it when the server stops before.
            if let Err(no_thread) = Builder::new().name("estimator".to_owned()).spawn(build) {
                self.is_begun.store(false, Ordering::Relaxed);
                return Err(no_thread);
            }
        }
        self.are_ready.wait().await;
        Ok(())
    }
}

/// A password with a word, a neighbouring key, a repetition, a sequence, a substitution, a date and
/// a year: every list and pattern of the estimator is needed for it.
const LOOKED_UP_EVERYWHERE: &str = "p4ssword qwert 1.3.1987 abcd aaa 1990";

fn too_short(password: &Password) -> Option<Weakness> {
    if password.expose().chars().count() >= Password::CHARS_MIN {
        return None;
    }
    Some(Weakness(format!("A password has at least {} characters.", Password::CHARS_MIN)))
}

fn too_guessable(candidate: &NewPassword) -> Option<Weakness> {
    let words = personal_words(&candidate.context);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if rests_on_words(candidate.password.expose(), &words) {
        return Some(personal());
    }
    let typed: Zeroizing<Vec<char>> = Zeroizing::new(candidate.password.expose().chars().collect());
    let shortened = shorten_long_words(candidate.password.expose(), &words);
    let looked_at = shortened.as_ref().unwrap_or(&typed);
    let mut estimates = Vec::new();
    for piece in looked_at.chunks(PIECE_CHARS).take(PIECES_MAX) {
        let piece: Zeroizing<String> = Zeroizing::new(piece.iter().collect());
        let estimate = zxcvbn::zxcvbn(&piece, &words);
        if estimate.guesses_log10() >= GUESSES_LOG10_MIN {
            return None;
        }
        estimates.push(estimate);
    }
    let parts = estimates.iter().flat_map(Entropy::sequence);
    let is_personal = parts.into_iter().any(|part| is_one_of(part, &words));
    if shortened.is_some() || is_personal {
        return Some(personal());
    }
    let warning = estimates.first().and_then(Entropy::feedback).and_then(Feedback::warning);
    Some(Weakness(format!("{} {ADVICE}", reason(warning))))
}

fn personal() -> Weakness {
    Weakness(
        "This password is easily guessed: it is made from your name, your e-mail address or the \
         name of this service. Choose something else, such as a few unrelated words."
            .to_owned(),
    )
}

const ADVICE: &str = "Choose something longer, such as a few unrelated words.";

/// The person's words as they are and in parts: `ann.smith@example.com` is `ann`, `smith`, ...
fn personal_words(context: &[String]) -> Vec<String> {
    let mut words = vec!["nightlatch".to_owned()];
    for word in context {
        words.push(lower_case(word));
        let parts = word.split(|c: char| !c.is_alphanumeric());
        let long = parts.filter(|part| part.chars().count() >= WORD_CHARS_MIN);
        words.extend(long.map(lower_case));
    }
    words.truncate(WORDS_MAX);
    words
}

/// The password with every long personal word cut down to its beginning, if it has any.
fn shorten_long_words(password: &str, words: &[&str]) -> Option<Zeroizing<Vec<char>>> {
    let mut long: Vec<&str> =
        words.iter().copied().filter(|word| word.chars().count() >= LONG_WORD_CHARS).collect();
    // An address before its own parts.
    long.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    let lower = Zeroizing::new(password.to_lowercase());
    let mut left: Zeroizing<String> = lower.clone();
    for word in long {
        let beginning: String = word.chars().take(WORD_CHARS_MIN).collect();
        left = Zeroizing::new(left.replace(word, &beginning));
    }
    (*left != *lower).then(|| Zeroizing::new(left.chars().collect()))
}

/// Whether a password has personal words and is nothing much without them: `annie-annie`. The
/// estimator takes it for three parts in some order, which it thinks hard to guess by itself. Each
/// kind of sign between the words counts as much as a random digit, however often it stands there.
fn rests_on_words(password: &str, words: &[&str]) -> bool {
    let plain = Zeroizing::new(without_signs(password));
    let mut bare: Vec<String> = words.iter().map(|word| without_signs(word)).collect();
    bare.retain(|word| word.chars().count() >= WORD_CHARS_MIN);
    // A name before its own parts.
    bare.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest: Zeroizing<String> = plain.clone();
    for word in &bare {
        rest = Zeroizing::new(rest.replace(word, ""));
    }
    if *rest == *plain {
        return false;
    }
    let signs = password.chars().filter(|c| !c.is_alphanumeric());
    let mut signs: Zeroizing<Vec<char>> = Zeroizing::new(signs.collect());
    signs.sort_unstable();
    signs.dedup();
    let rest: Zeroizing<Vec<char>> = Zeroizing::new(rest.chars().collect());
    let pieces = rest.chunks(PIECE_CHARS).take(PIECES_MAX);
    let hardest = pieces.map(|piece| {
        let piece: Zeroizing<String> = Zeroizing::new(piece.iter().collect());
        zxcvbn::zxcvbn(&piece, words).guesses_log10()
    });
    let kinds_of_signs = f64::from(u16::try_from(signs.len()).unwrap_or(u16::MAX));
    hardest.fold(0.0, f64::max) + kinds_of_signs < GUESSES_LOG10_MIN
}

/// A text in lower case, its letters and digits alone.
fn without_signs(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// As the estimator compares them.
fn lower_case(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase).collect()
}

fn is_one_of(part: &Match, words: &[&str]) -> bool {
    match &part.pattern {
        MatchPattern::Dictionary(found) => words.contains(&found.matched_word.as_str()),
        MatchPattern::Spatial(_)
        | MatchPattern::Repeat(_)
        | MatchPattern::Sequence(_)
        | MatchPattern::Regex(_)
        | MatchPattern::Date(_)
        | MatchPattern::BruteForce => false,
    }
}

/// The estimator's finding in words for the person who chose the password.
fn reason(warning: Option<Warning>) -> &'static str {
    match warning {
        Some(
            Warning::ThisIsATop10Password
            | Warning::ThisIsATop100Password
            | Warning::ThisIsACommonPassword,
        ) => "This is one of the most used passwords.",
        Some(Warning::ThisIsSimilarToACommonlyUsedPassword) => {
            "This is almost one of the most used passwords."
        }
        Some(
            Warning::StraightRowsOfKeysAreEasyToGuess
            | Warning::ShortKeyboardPatternsAreEasyToGuess,
        ) => "Neighbouring keys are easily guessed.",
        Some(
            Warning::RepeatsLikeAaaAreEasyToGuess
            | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess,
        ) => "Repeated characters are easily guessed.",
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => "Sequences like abcd are easily guessed.",
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => {
            "Dates and years are easily guessed."
        }
        Some(Warning::AWordByItselfIsEasyToGuess) => "A single word is easily guessed.",
        Some(
            Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
            | Warning::CommonNamesAndSurnamesAreEasyToGuess,
        ) => "Names are easily guessed.",
        None => "This password is easily guessed.",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use nightlatch_core::{SystemClock, SystemEntropy};
    use proptest::prelude::*;

    use super::*;

    fn candidate(password: &str) -> NewPassword {
        let context = ["alice.w", "Alice Wonder", "alice.wonder@example.org"];
        NewPassword {
            password: Password::try_new(password.to_owned()).expect("short"),
            context: context.map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn guessable_passwords_are_refused_with_the_reason() {
        for (password, words) in [
            ("password", "most used"),
            ("password1", "most used"),
            ("P@ssw0rd", "most used"),
            ("iloveyou", "most used"),
            ("football", "most used"),
            ("qwertyuiop", "most used"),
            ("Password123!", "most used"),
            ("zxcvbnm,./", "Neighbouring"),
            ("aaaaaaaaaaaaaaaa", "Repeated"),
            ("abcdefghijkl", "easily guessed"),
            ("alicewonder", "your name"),
            ("Alice2024", "your name"),
            ("wonder1987", "your name"),
            ("nightlatch1", "this service"),
            ("N1ghtl@tch", "this service"),
            ("alice.wonder@example.org", "your name"),
            ("Alice.Wonder@Example.org1990", "your name"),
            ("nightlatchnightlatchnightlatch", "this service"),
            ("20202020202020202020202020202020202020202020202020", "easily guessed"),
            ("13.05.1987", "easily guessed"),
            ("alice-alice", "your name"),
            ("Alice!2024!Alice", "your name"),
            ("wonder_Wonder_wonder", "your name"),
            ("al.ice-won.der", "your name"),
            ("ALICE + WONDER = ALICE", "your name"),
            ("alice--alice--alice--alice--alice--alice", "your name"),
            ("night-latch-alice", "your name"),
            ("Summer2024", "most used"),
        ] {
            let weakness = too_guessable(&candidate(password)).unwrap_or_else(|| {
                panic!("{password} was taken");
            });
            assert!(weakness.0.contains(words), "{password}: {}", weakness.0);
        }
    }

    #[test]
    fn passwords_that_are_hard_to_guess_need_no_special_characters() {
        for password in [
            "correct horse battery staple",
            "kx9#vq2m",
            "tzqwplmv",
            "mauve-otter-stapler",
            "Grüße aus Köln am Rhein",
            "パスワードは秘密です",
            "alice.wonder@example.org x8#kq29vd",
            "alice plays chess with an otter",
            "wonder-kx9#vq2m",
            &"lorem ipsum dolor ".repeat(50),
        ] {
            assert_eq!(too_guessable(&candidate(password)), None, "{password}");
        }
    }

    #[test]
    fn length_counts_characters() {
        let short = Password::try_new("äöüäöüä".to_owned()).expect("short");
        assert!(too_short(&short).expect("seven").0.contains('8'));
        let long_enough = Password::try_new("äöüäöüäö".to_owned()).expect("short");
        assert_eq!(too_short(&long_enough), None);
    }

    #[tokio::test]
    async fn pool_assesses_and_says_busy_when_it_is_late() {
        let pool =
            HashPool::start(None, Arc::new(SystemClock), Arc::new(SystemEntropy)).expect("threads");
        let soon = Deadline::within(&SystemClock, Duration::from_secs(30));
        let weak = pool.assess(candidate("password"), soon).await.expect("an answer");
        assert!(weak.is_some());
        let late = Deadline::within(&SystemClock, Duration::ZERO);
        let answer = pool.assess(candidate("long enough to be judged"), late).await;
        assert!(matches!(answer, Err(HashError::Busy { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_password_is_judged(
            password in prop_oneof!["\\PC{8,80}", "[qwertasdf1234]{8,120}", "[20]{8,120}"],
            word in "\\PC{0,80}",
        ) {
            let candidate = NewPassword {
                password: Password::try_new(password).expect("120 characters fit"),
                context: vec![word; 40],
            };
            if let Some(weakness) = too_guessable(&candidate) {
                prop_assert!(weakness.0.ends_with('.'));
            }
        }
    }

    /// The estimator's worst cases: much that can be read in many ways.
    #[test]
    fn judging_takes_bounded_time() {
        let worst = ["4@8({[<369&#!|17$5+%2/", "a", "@4a", "qwer", "20", "p4ssw0rd"];
        for part in worst {
            let password: String = part.chars().cycle().take(Password::BYTES_MAX).collect();
            let began = nightlatch_core::Clock::boottime(&SystemClock);
            let _any = too_guessable(&candidate(&password));
            let took = nightlatch_core::Clock::boottime(&SystemClock).saturating_sub(began);
            println!("{part}: {took:?}");
            assert!(took < Duration::from_secs(1), "{part}: {took:?}");
        }
    }
}
