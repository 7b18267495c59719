"""Folders as people have them: what `corpora new` and `build` take for class and speaker, and where they abstain.

A wrong speaker is worse than none, so each layout names the speakers that may be found, or none.
"""

# ruff: noqa: E501 (a layout stands in one line)

import itertools
import json

import pytest
from data_folders import write
from tiny_corpus import tone

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.check import resembled_corpus
from featurestore.corpus.suggest.propose import propose_manifest
from featurestore.errors import AmbiguousError

MOODS = ("angry", "happy", "sad")
PEOPLE = ("anna", "ben", "cleo", "dora")


def grid(form, **fields):
    """Fill a form with every combination of values."""
    return [form.format(**dict(zip(fields, values, strict=True))) for values in itertools.product(*fields.values())]


def gtzan():
    return grid("genres/{genre}/{genre}.{track:05}.wav", genre=("blues", "jazz", "rock"), track=range(20))


def numbered_genres():
    return [path for path in gtzan() if path.split(".")[0].split("/")[-1] == path.split("/")[1]]


def esc50():
    clips = range(100_032, 100_072)
    return [f"audio/{1 + clip % 5}-{clip}-{'AB'[take]}-{clip % 8}.wav" for clip in clips for take in range(2)]


def urban_sound():
    return [f"audio/fold{1 + n % 10}/{100_000 + n % 40}-{n % 40 % 10}-{n % 3}-{n % 7}.wav" for n in range(400)]


def speech_commands():
    words = ("bed", "house", "tree", "wow")
    return [
        f"{word}/{n * 2654435761 % 2**32:08x}_nohash_{take}.wav"
        for word in words
        for n in range(1, 16)
        for take in (0, 1)
    ]


def unique_hashes():
    words = ("bed", "house", "tree", "wow")
    return [
        f"{word}/{(n * 4 + k) * 2654435761 % 2**32:08x}_{take}.wav"
        for k, word in enumerate(words)
        for n in range(1, 16)
        for take in (0, 1)
    ]


def savee():
    return grid(
        "{who}/{mood}{take:02}.wav",
        who=("DC", "JE", "JK", "KL"),
        mood=("a", "d", "f", "h", "n", "sa"),
        take=range(1, 9),
    )


CODES = {"angry": "a1", "happy": "h2", "sad": "s3"}
LAYOUTS = {
    # name: (paths, class field, classes, speakers that may be found)
    "GTZAN": (numbered_genres(), {"blues", "jazz", "rock"}, None),
    "counters behind words": (grid("{w}/{w}_{n}.wav", w=("stop", "no", "yes"), n=range(10)), None, None),
    "counters alone": (grid("{w}/{n}.wav", w=("bus", "car", "tram"), n=range(10)), {"bus", "car", "tram"}, None),
    "counters from one": (grid("{w}/{n:03}.wav", w=MOODS, n=range(1, 31)), {*MOODS}, None),
    "ESC-50 names": (esc50(), "doubt", None),
    "UrbanSound8K": (urban_sound(), "doubt", None),
    "FSDD": (grid("{d}_{who}_{n}.wav", d=range(10), who=("george", "jackson", "lucas"), n=range(5)), {*"0123456789"}, {"george", "jackson", "lucas"}),
    "AudioMNIST": (grid("{who:02}/{d}_{who:02}_{n}.wav", who=range(1, 5), d=range(10), n=range(3)), {*"0123456789"}, {"01", "02", "03", "04"}),
    "digits in folders": (grid("{d}/{n:04}.wav", d=range(10), n=range(12)), {*"0123456789"}, None),
    "Speech Commands": (speech_commands(), {"bed", "house", "tree", "wow"}, "hashes"),
    "hashes of single files": (unique_hashes(), {"bed", "house", "tree", "wow"}, None),
    "RAVDESS": (grid("Actor_{who:02}/03-01-{mood:02}-01-{text:02}-01-{who:02}.wav", who=range(1, 9), mood=range(1, 9), text=(1, 2)), "doubt", {f"Actor_{n:02}" for n in range(1, 9)}),
    "CREMA-D": (grid("AudioWAV/{who}_{text}_{mood}_XX.wav", who=range(1001, 1011), text=("DFA", "IEO", "ITH"), mood=("ANG", "DIS", "HAP", "NEU")), {"anger", "DIS", "happiness", "neutral"}, None),
    "TESS": (grid("{who}_{mood}/{who}_{word}_{mood}.wav", who=("OAF", "YAF"), mood=MOODS, word=("back", "bar", "base", "bean")), {*MOODS}, None),
    "EMOVO": (grid("{who}/{mood}-{who}-{text}.wav", who=("f1", "f2", "m1"), mood=("gio", "neu", "rab"), text=("b1", "b2", "l1", "l2")), None, {"f1", "f2", "m1"}),
    "class, then speaker": (grid("{mood}/{who}/{n:02}.wav", who=PEOPLE, mood=MOODS, n=range(3)), {*MOODS}, {*PEOPLE}),
    "speaker, then class": (grid("{who}/{mood}/{n:02}.wav", who=PEOPLE, mood=MOODS, n=range(3)), {*MOODS}, {*PEOPLE}),
    "speaker, then another class": (grid("{who}/{word}/{n:02}.wav", who=PEOPLE, word=("apple", "pear", "plum"), n=range(3)), "doubt", None),
    "class codes": ([f"0{k}_{mood}/{CODES[mood]}-{a:02}-{b:02}.wav" for k, mood in enumerate(MOODS, 1) for a in range(1, 4) for b in range(1, 5)], {"01_angry", "02_happy", "03_sad"}, None),
    "ages": (grid("{mood}/{age}_{n}.wav", mood=MOODS, age=(19, 23, 24, 31, 47, 52), n=range(3)), {*MOODS}, None),
    "dates": (grid("{mood}/2021-03-{day:02}_{n}.wav", mood=MOODS, day=(3, 8, 11, 19), n=range(3)), {*MOODS}, None),
    "dates in one word": (grid("{mood}/202103{day:02}_{n}.wav", mood=MOODS, day=(3, 8, 11, 19), n=range(3)), {*MOODS}, None),
    "sessions": (grid("session{s}/{mood}_{n}.wav", mood=MOODS, s=range(1, 6), n=range(3)), {*MOODS}, None),
    "folds": (grid("fold{s}/{w}/{n}.wav", w=("bus", "car", "tram"), s=range(1, 6), n=range(3)), {"bus", "car", "tram"}, None),
    "sexes": (grid("{sex}/{mood}_{n}.wav", mood=MOODS, sex=("male", "female"), n=range(3)), {*MOODS}, None),
    "microphones": (grid("{mood}/{mic}_{n}.wav", mood=MOODS, mic=("close", "far", "phone"), n=range(3)), {*MOODS}, None),
    "makers of microphones": (grid("{mood}/{mic}_{n}.wav", mood=MOODS, mic=("akg", "rode", "shure"), n=range(3)), {*MOODS}, None),
    "microphones by their models": (grid("{mic}/{mood}_{n}.wav", mood=MOODS, mic=("AKG_C414", "Rode-NT1", "shure sm58", "Audio-Technica"), n=range(3)), {*MOODS}, None),
    "phones": (grid("{mood}_{mic}_{n}.wav", mood=MOODS, mic=("iphone", "samsung", "pixel"), n=range(3)), {*MOODS}, None),
    "intensities": (grid("{mood}_{how}_{n}.wav", mood=MOODS, how=("lo", "md", "hi"), n=range(3)), {*MOODS}, None),
    "languages": (grid("{mood}/{lang}_{n}.wav", mood=MOODS, lang=("en", "de", "fr"), n=range(3)), {*MOODS}, None),
    "animals": (grid("{mood}/{animal}_{n}.wav", mood=("bark", "growl", "whine"), animal=("dog", "cat", "cow"), n=range(3)), {"bark", "growl", "whine"}, None),
    "two animals": (grid("{animal}/{n}.wav", animal=("cat", "dog"), n=range(6)), {"cat", "dog"}, None),
    "recordings of one animal each": ([f"{a}/{a}_{who}_{n}.wav" for a, names in {"cat": ("tom", "mia"), "dog": ("rex", "bo"), "cow": ("elsa", "lisl")}.items() for who in names for n in range(5)], {"cat", "cow", "dog"}, None),
    "speakers of one class each": ([f"{state}/spk{k}{who}_{n}.wav" for k, state in enumerate(("healthy", "sick")) for who in range(4) for n in range(5)], {"healthy", "sick"}, {f"spk{k}{who}" for k in (0, 1) for who in range(4)}),
    "numbers by chance": ([f"{w}/{(7919 * (k * 20 + n)) % 99_991:05}.wav" for k, w in enumerate(("bus", "car", "tram")) for n in range(20)], {"bus", "car", "tram"}, None),
    "sentences": (grid("{mood}/s{s}_{n}.wav", mood=MOODS, s=range(1, 9), n=range(3)), {*MOODS}, None),
    "two words that cross": (grid("{who}_{word}_{mood}_{n}.wav", mood=MOODS, who=PEOPLE, word=("apple", "pear", "plum"), n=range(2)), {*MOODS}, None),
    "letters": (grid("{mood}/{letter}{n}.wav", mood=MOODS, letter="abc", n=range(5)), {*MOODS}, None),
    "VCTK numbers": (grid("{mood}/p{who}_{n:03}.wav", mood=MOODS, who=(225, 237, 301, 376), n=range(4)), {*MOODS}, {"p225", "p237", "p301", "p376"}),
    "wrapper": (grid("some folder/{mood}/{n}.wav", mood=MOODS, n=range(4)), {*MOODS}, None),
    "two wrappers": (grid("download/x1/{w}/{n}.wav", w=("bus", "car", "tram"), n=range(4)), {"bus", "car", "tram"}, None),
    "a class called train": (grid("data/{w}/{w}{n}.wav", w=("bus", "car", "train"), n=range(4)), {"bus", "car", "train"}, None),
    "a class called test": (grid("{w}/{n}.wav", w=("exam", "quiz", "test"), n=range(4)), {"exam", "quiz", "test"}, None),
    "sides and classes": (grid("{side}/{w}/{n}.wav", side=("train", "dev", "test"), w=("bus", "car", "tram"), n=range(4)), {"bus", "car", "tram"}, None),
    "sides alone": (grid("{side}/{n}.wav", side=("train", "test"), n=range(9)), "doubt", None),
    "sides beside something else": (grid("{w}/{n}.wav", w=("train", "test", "noise"), n=range(4)), "doubt", None),
    "letters as folders": (grid("{w}/{n:03}.wav", w="ab", n=range(3)), {"a", "b"}, None),
    "letters in folders": (grid("{w}/{letter}/{n}.wav", w=("bus", "car", "tram"), letter="abc", n=range(3)), {"bus", "car", "tram"}, None),
    "one recording in each of two folders": (["a/word.wav", "b/word.wav"], {"a", "b"}, None),
    "one recording in each of three folders": (grid("{w}/word.wav", w=("bus", "car", "tram")), {"bus", "car", "tram"}, None),
    "a folder for each recording": (grid("{w}/audio.wav", w=("blue", "green", "pink", "red", "teal")), "doubt", None),
    "folders of speakers alone": (grid("{who}/{n}.wav", who=("spk1", "spk2", "spk3"), n=range(6)), "doubt", {"spk1", "spk2", "spk3"}),
    "numbered folders": (grid("{k:03}/{n}.wav", k=range(7, 12), n=range(6)), "doubt", None),
    "folders of several depths": ([*grid("bus/{n}.wav", n=range(6)), *grid("car/more/{n}.wav", n=range(6))], "doubt", None),
    "machines": (grid("fan/id_{i:02}/{state}/{n:08}.wav", i=(0, 2, 4, 6), state=("normal", "abnormal"), n=range(10)), {"normal", "abnormal"}, None),
    "cities of scenes": (grid("{w}/{city}-{n}-{k}-a.wav", w=("airport", "bus", "metro"), city=("bonn", "oslo", "rome"), n=range(100, 104), k=range(3)), {"airport", "bus", "metro"}, None),
    "cities of scenes in names": (grid("audio/{w}-{city}-{n}-{k}-a.wav", w=("airport", "bus", "metro"), city=("bonn", "oslo", "rome"), n=range(100, 104), k=range(3)), "doubt", None),
    "numbered sessions in names": (grid("{mood}/ses-{s:02}_run-{n}.wav", mood=MOODS, s=(2, 5, 9), n=range(1, 5)), {*MOODS}, None),
    "turns of dialogues": ([f"Session{s}/Ses0{s}F_impro0{d}/Ses0{s}F_impro0{d}_{sex}{n:03}.wav" for s in range(1, 4) for d in range(1, 4) for sex in "FM" for n in range(5)], "doubt", None),
    "women and men alone": (grid("{sex}/{n}.wav", sex=("female", "male"), n=range(6)), "doubt", None),
    "ESD": (grid("{who:04}/{mood}/{who:04}_{n:06}.wav", who=range(1, 11), mood=MOODS, n=range(1, 8)), {*MOODS}, {f"{n:04}" for n in range(1, 11)}),
    "Emo-DB in folders": ([f"{mood}/{who}a{text:02}{mood[0].upper()}{take}.wav" for mood in MOODS for who in ("03", "08", "11", "16") for text in (1, 2, 5) for take in "ab"], {*MOODS}, {"03", "08", "11", "16"}),
    "SAVEE in one folder": (grid("{who}_{mood}{n:02}.wav", who=("DC", "JE", "JK", "KL"), mood=("a", "d", "f", "h", "sa"), n=range(1, 9)), "doubt", None),
    "nothing but numbers": (grid("{n:04}.wav", n=range(40)), "doubt", None),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_speaker_is_named_only_where_it_is_sure_and_build_agrees(tmp_path, name):
    paths, classes, speakers = LAYOUTS[name]
    folder = write(tmp_path / "takes", dict.fromkeys(paths, b"RIFF"))
    assert len({*paths}) == len(paths)

    proposal = propose_manifest(folder)

    found = set(proposal.corpus.speaker_counts())
    if speakers == "hashes":
        assert len(found) == 15
    else:
        assert found == (speakers or set())
    assert ('speaker = ""  # unknown' in proposal.toml) == (speakers is None)
    if classes == "doubt":
        with pytest.raises(AmbiguousError, match="leave open what the class is"):
            load_corpus(folder)
        return
    assert classes is None or set(proposal.corpus.label_counts()) == classes
    if proposal.plan.is_sure:
        built = load_corpus(folder)
        assert [(one.path, one.label, one.speaker) for one in built.utterances] == [
            (one.path, one.label, one.speaker) for one in proposal.corpus.utterances
        ]
        assert len(built.utterances) == len(paths)


def test_a_question_ends_with_exit_code_two_and_names_the_folders(tmp_path, capsys):
    folder = write(tmp_path / "takes", dict.fromkeys(LAYOUTS["sides beside something else"][0], b"RIFF"))

    assert run(["build", str(folder), "--dry-run", "--store", str(tmp_path / "store")]) == 2

    assert "a folder is one of noise, test, train" in capsys.readouterr().err


def test_an_unknown_speaker_is_told_with_what_follows(tmp_path, capsys):
    folder = write(tmp_path / "takes", {path: tone(n + 1) for n, path in enumerate(LAYOUTS["wrapper"][0])})
    store = ["--store", str(tmp_path / "store")]

    assert run(["build", str(folder), "--dry-run", *store]) == 0
    assert "the speaker is unknown: splits by speaker are refused" in capsys.readouterr().err
    assert run(["splits", str(folder), "--split", "loso", *store]) == 1
    assert "12 utterances have none" in capsys.readouterr().err
    assert run(["splits", str(folder), "--split", "shuffled", *store]) == 0
    assert "no split can guarantee unseen speakers" in capsys.readouterr().err


def test_a_class_is_chosen_by_how_many_recordings_have_it(tmp_path):
    whole = [f"whole/{state}/{state}-{n:03}.wav" for state in ("neg", "pos") for n in range(4)]
    parts = [f"part/{state}/{state}-{n:03}-0.wav" for state in ("neg", "pos") for n in range(30)]
    rows = [
        f"4/2{1 + n % 2},{'negative' if 'neg' in path else 'positive'},3{n},{path.split('/')[-1]}"
        for n, path in enumerate(whole)
    ]
    table = "\n".join(["date,test,age,name", *rows])
    folder = write(tmp_path, {**dict.fromkeys([*whole, *parts], b"RIFF"), "labels.csv": table})

    corpus = propose_manifest(folder).corpus

    assert corpus.label_counts() == load_corpus(folder).label_counts() == {"neg": 34, "pos": 34}
    assert corpus.speaker_counts() == {}


@pytest.mark.parametrize("table", ["prices.csv", "data.tsv", "notes.csv"])
def test_any_table_beside_recordings_makes_them_look_like_no_corpus(table):
    assert resembled_corpus([*(f"wav/{n:03}.wav" for n in range(5)), table]) is None


@pytest.mark.parametrize("wrapper", ["dataset", "data", "my recordings"])
def test_emotions_in_folders_look_like_no_corpus_of_several_speakers(wrapper):
    assert resembled_corpus(grid(f"{wrapper}/{{mood}}/{{n}}.wav", mood=("angry", "sad"), n=range(3))) is None


def test_one_recording_under_two_classes_is_a_finding_of_its_own(tmp_path, capsys):
    moods = {f"{mood}/{n}.wav": tone(n + 5 * (mood == "sad")) for mood in ("angry", "sad") for n in range(1, 4)}
    folder = write(tmp_path / "takes", {**moods, "sad/9.wav": moods["angry/1.wav"]})
    store = ["--store", str(tmp_path / "store")]

    assert run(["build", str(folder), "--dry-run", *store]) == 0
    assert "one recording under several classes (angry, sad): angry/1.wav, sad/9.wav" in capsys.readouterr().err
    assert run(["corpora", "check", str(folder), "--quality", "--json", *store]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["notes"] == ["one recording as angry and as sad: angry/1.wav, sad/9.wav"]
    found = {one["kind"]: one["paths"] for one in report["quality"]["findings"]}
    assert found["two classes"] == ["angry/1.wav", "sad/9.wav"]
