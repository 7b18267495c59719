"""Small copies of the licensed corpora, made here in their exact naming and formats; the sound is a few bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

IEMOCAP_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
TURNS = {
    "Ses01F_impro01": (("F000", "neu"), ("M000", "ang"), ("M001", "xxx")),
    "Ses01M_script01_1": (("F000", "hap"), ("M000", "exc"), ("FXX0", "sad")),
    "Ses02F_impro02": (("F000", "sad"), ("M000", "hap")),
    "Ses02M_script03_2b": (("M003", "neu"), ("F001", "ang"), ("MXX1", "fru")),
    "Ses03M_impro05a": (("M000", "neu"), ("F000", "sad")),
}
Dialogues = Mapping[str, Sequence[tuple[str, str]]]
VOTES = {
    "neu": ("Neutral;", "Neutral;", "Sadness; Neutral;"),
    "ang": ("Anger;", "Anger; Frustration;", "Anger;"),
    "hap": ("Happiness;", "Excited;", "Neutral;"),
    "exc": ("Excited;", "Happiness;", "Excited;"),
    "sad": ("Sadness;", "Sadness;", "Sadness;"),
    "xxx": ("Anger;", "Neutral;", "Sadness;"),
    "fru": ("Frustration;", "Frustration;", "Anger;"),
}


def put(path: Path, data: bytes | str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))


def turn_lines(turn: str, emotion: str) -> str:
    """A turn as an EmoEvaluation file has it: the label line, three raters, actors; one rater gives no dominance."""
    votes = "".join(f"C-E{2 + number}:\t{said}\t()\n" for number, said in enumerate(VOTES[emotion]))
    ratings = "A-E3:\tval 3; act 2; dom  2;\t()\nA-E4:\tval 2; act 3; dom  ;\t()\nA-M1:\tval 3; act 2; dom  2;\t()\n"
    line = f"[6.2901 - 8.2357]\t{turn}\t{emotion}\t[2.5000, 2.5000, 2.0000]\n"
    return f"{line}{votes}C-F1:\tNeutral;\t()\n{ratings}\n"


def write_iemocap(folder: Path, dialogues: Dialogues = TURNS) -> Path:
    """IEMOCAP with turns whose first letter is not that of the speaker, litter, subfolders and whole dialogues."""
    for dialog, turns in dialogues.items():
        session = folder / "IEMOCAP_full_release" / f"Session{dialog[4]}"
        for turn, _ in turns:
            put(session / "sentences" / "wav" / dialog / f"{dialog}_{turn}.wav", f"{dialog}_{turn}")
        text = IEMOCAP_HEADER + "".join(turn_lines(f"{dialog}_{turn}", emotion) for turn, emotion in turns)
        evaluation = session / "dialog" / "EmoEvaluation"
        put(evaluation / f"{dialog}.txt", text)
        put(evaluation / f"._{dialog}.txt", b"\x00\x05\x16\x07 litter")
        put(evaluation / "Categorical" / f"{dialog}_e2_cat.txt", f"{dialog}_F000 :Anger; ()\n")
        put(evaluation / "Attribute" / f"{dialog}_e2_atr.anvil", b"<xml/>")
        put(session / "dialog" / "wav" / f"{dialog}.wav", b"a whole dialogue")
        put(session / "sentences" / "wav" / dialog / f"._{dialog}_F000.wav", b"litter")
    return folder


def write_fau_aibo(folder: Path, speakers: int = 7) -> Path:
    """FAU-Aibo with two schools whose speaker numbers overlap, every child with each of the five classes."""
    lines: dict[str, list[str]] = {"2": [], "5": []}
    for school in ("Ohm", "Mont"):
        for speaker in range(1, speakers + 1):
            for chunk, label in enumerate("AENPR"):
                name = f"{school}_{speaker:02}_{chunk:03}_00"
                put(folder / "IS2009EmotionChallenge" / "wav" / f"{name}.wav", name)
                lines["5"].append(f"{name} {label} 0.64\n")
                lines["2"].append(f"{name} {'NEG' if label in 'AE' else 'IDL'} 0.9\n")
    for classes, text in lines.items():
        place = folder / "labels" / "IS2009EmotionChallenge" / f"chunk_labels_{classes}cl_corpus.txt"
        put(place, "".join(text))
    return folder


AGES = {1: (9, "x"), 2: (20, "f"), 3: (24, "m"), 4: (25, "f"), 5: (54, "m"), 6: (55, "f"), 7: (80, "m")}


def write_agender(folder: Path, a_class: int = 22) -> Path:
    """aGender: headerless 16-bit samples, two lists with six columns, `a_class` training speakers of each class."""
    lines: dict[str, list[str]] = {"train": [], "devel": []}
    for number, (age, sex) in AGES.items():
        for position in range(a_class + 2):
            speaker, side = 1000 + 100 * number + position, "train" if position < a_class else "devel"
            path = f"wav_traindevel/{speaker}/2/a1{speaker}s3.raw"
            put(folder / "agender_distribution" / path, np.full(40, speaker, "<i2").tobytes())
            lines[side].append(f"{path} {speaker} 2 {age} {sex} {number}\n")
    for side, text in lines.items():
        put(folder / "agender_distribution" / f"trainSampleList_{side}.txt", "".join(text))
    return folder


COLUMNS = (
    "wav_id,발화문,상황,1번 감정,1번 감정세기,2번 감정,2번 감정세기,3번 감정,3번 감정세기,"
    "4번 감정,{fourth},5번 감정,5번 감정세기,나이,성별"
)
RELEASES = {
    "4차년도": (
        "4번감정세기",
        (
            (
                "a1",
                '"뭐, 그래?"',
                "anger",
                ("Angry", 2, "Angry", 1, "Sadness", 1, "Neutral", 0, "Angry", 2),
                25,
                "male",
            ),
            (
                "a2",
                "좋다",
                "happiness",
                ("Happiness", 1, "Neutral", 0, "Neutral", 0, "Happiness", 1, "Sadness", 2),
                31,
                "female",
            ),
        ),
    ),
    "5차년도": (
        "4번감정세기",
        (("b1", "응", "sad", ("Neutral", 0, "Neutral", 0, "Neutral", 0, "Neutral", 0, "Neutral", 0), 40, "male"),),
    ),
    "5차년도_2차": (
        "4번 감정세기",
        (
            ("c1", "왜", " Angry", ("angry", 1, "fear", 1, "fear", 1, "angry", 1, "disgust", 2), 25, "male"),
            (
                "gone",
                "없다",
                "neutral",
                ("neutral", 0, "neutral", 0, "neutral", 0, "neutral", 0, "neutral", 0),
                25,
                "male",
            ),
        ),
    ),
}


def write_aihub(folder: Path, releases: Mapping[str, Any] = RELEASES) -> Path:
    """AIHUB: three releases in CP949 with CRLF, both spellings of a header, one row without its recording."""
    for release, (fourth, rows) in releases.items():
        lines = [COLUMNS.format(fourth=fourth)]
        for name, sentence, situation, votes, age, sex in rows:
            lines.append(",".join(map(str, (name, sentence, situation, *votes, age, sex))))
            if name != "gone":
                put(folder / release / f"{name}.wav", name)
        put(folder / f"{release}.csv", "\r\n".join(lines) + "\r\n", "cp949")
    return folder
