"""File names as the corpora of the field really have them, with the labels, speakers and sentences written by hand.

Each line is `path in a copy -> class speaker sentence`; `-` stands for what the corpus does not tell. Nothing here is
taken from the manifests, so that a slip in a manifest shows.
"""

from __future__ import annotations

NAMES = {
    "ravdess": """
        Actor_01/03-01-01-01-01-01-01.wav -> neutral 01 01
        Actor_02/03-01-02-01-02-02-02.wav -> calm 02 02
        audio_speech_actors_01-24/Actor_03/03-01-03-02-01-01-03.wav -> happiness 03 01
        archive/Actor_04/03-01-04-02-02-01-04.WAV -> sadness 04 02
        Actor_20/03-01-05-01-01-02-20.wav -> anger 20 01
        Actor_21/03-01-06-01-01-01-21.wav -> fear 21 01
        Actor_22/03-01-07-01-02-01-22.wav -> disgust 22 02
        Actor_24/03-01-08-02-02-02-24.wav -> surprise 24 02
    """,
    "ravdess_song": """
        Actor_01/03-02-01-01-01-01-01.wav -> neutral 01 01
        Actor_23/03-02-06-02-02-02-23.wav -> fear 23 02
        songs/actor_04/03-02-05-02-02-01-04.wav -> anger 04 02
    """,
    "cremad": """
        AudioWAV/1001_DFA_ANG_XX.wav -> anger 1001 DFA
        AudioWAV/1001_IEO_DIS_LO.wav -> disgust 1001 IEO
        CREMA-D-master/AudioWAV/1091_IEO_HAP_MD.wav -> happiness 1091 IEO
        AudioWAV/1050_IEO_SAD_HI.wav -> sadness 1050 IEO
        1002_ITH_NEU_XX.wav -> neutral 1002 ITH
        AudioWAV/1040_ITH_SAD_X.wav -> sadness 1040 ITH
        AudioWAV/1013_WSI_FEA_XX.wav -> fear 1013 WSI
    """,
    "tess": """
        TESS Toronto emotional speech set data/OAF_angry/OAF_back_angry.wav -> anger OAF back
        TESS Toronto emotional speech set data/OAF_Fear/OAF_bar_fear.wav -> fear OAF bar
        TESS Toronto emotional speech set data/OAF_neutral/OA_bite_neutral.wav -> neutral OAF bite
        TESS Toronto emotional speech set data/OAF_Pleasant_surprise/OAF_chair_ps.wav -> surprise OAF chair
        YAF_pleasant_surprised/YAF_youth_ps.wav -> surprise YAF youth
        YAF_disgust/YAF_date_disgust.wav -> disgust YAF date
        YAF_happy/YAF_dog_happy.wav -> happiness YAF dog
        YAF_sad/YAF_young_sad.wav -> sadness YAF young
    """,
    "savee": """
        AudioData/DC/a01.wav -> anger DC -
        AudioData/DC/sa15.wav -> sadness DC -
        AudioData/JE/su03.wav -> surprise JE -
        AudioData/JK/n30.wav -> neutral JK -
        ALL/DC_d01.wav -> disgust DC -
        ALL/KL_f07.wav -> fear KL -
        ALL/KL_h12.wav -> happiness KL -
        ALL/JE_sa01.wav -> sadness JE -
        JKsu02.wav -> surprise JK -
    """,
    "emovo": """
        EMOVO/f1/dis-f1-b1.wav -> disgust f1 b1
        EMOVO/f2/gio-f2-l4.wav -> happiness f2 l4
        EMOVO/f3/neu-f3-n5.wav -> neutral f3 n5
        EMOVO/m1/pau-m1-d2.wav -> fear m1 d2
        m2/rab-m2-b3.wav -> anger m2 b3
        m3/sor-m3-l1.wav -> surprise m3 l1
        m3/tri-m3-l2.wav -> sadness m3 l2
    """,
    "subesco": """
        SUBESCO/F_02_MONIKA_S_2_SURPRISE_3.wav -> surprise F_02 2
        SUBESCO/F_12_TITHI_S_2_SURPRISE_3].wav -> surprise F_12 2
        M_02_NIPUN_S_9_NEUTRAL_1.wav -> neutral M_02 9
        F_01_OISHI_S_10_ANGRY_1.wav -> anger F_01 10
        M_01_BASHIR_S_4_HAPPY_1.wav -> happiness M_01 4
        M_01_BASHIR_S_8_FEAR_5.wav -> fear M_01 8
        M_01_BASHIR_S_2_DISGUST_2.wav -> disgust M_01 2
        F_06_SIMI_S_3_SAD_4.wav -> sadness F_06 3
    """,
    "urdu": """
        URDU-Dataset-master/Neutral/SM20_F8_N012.wav -> neutral SM20 -
        URDU-Dataset-master/Angry/SM1_F1_A01.wav -> anger SM1 -
        Happy/SF1_F12_H012.wav -> happiness SF1 -
        Sad/SM6_F4_S0100.wav -> sadness SM6 -
    """,
    "nemo": """
        nEMO-main/samples/EB0_anger_1.wav -> anger EB0 1
        samples/WR0_surprised_64.wav -> surprise WR0 64
        samples/MP0_sadness_79.wav -> sadness MP0 79
        samples/KS0_neutral_90.wav -> neutral KS0 90
        KD0_fear_13.wav -> fear KD0 13
        TP0_happiness_5.wav -> happiness TP0 5
    """,
    "shemo": """
        male/M36S02.wav -> sadness M36 -
        female/F21N05.wav -> neutral F21 -
        male/M01A01.wav -> anger M01 -
        ShEMO/female/F01W12.wav -> surprise F01 -
        F03H08.wav -> happiness F03 -
        F10F01.wav -> fear F10 -
    """,
    "esd": """
        Emotion Speech Dataset/0001/Angry/train/0001_000351.wav -> anger 0001 -
        ESD/0011/Happy/evaluation/0011_000701.wav -> happiness 0011 -
        0020/Surprise/test/0020_001750.wav -> surprise 0020 -
        Emotional Speech Dataset (ESD)/0012/Neutral/0012_000001.wav -> neutral 0012 -
        0013/Sad/0013_001051.wav -> sadness 0013 -
    """,
    "cafe": """
        Colère/Fort/01-C-2-1.wav -> anger 01 1
        Dégoût/Faible/02-D-1-6.wav -> disgust 02 6
        CaFE_48k/Joie/Fort/03-J-2-3.wav -> happiness 03 3
        Neutre/04-N-0-2.wav -> neutral 04 2
        Neutre/05-N-4.wav -> neutral 05 4
        CaFE_192k/Peur/Faible/12-P-1-5.aiff -> fear 12 5
        Surprise/Fort/07-S-2-2.wav -> surprise 07 2
        Tristesse/Fort/08-T-2-4.wav -> sadness 08 4
    """,
    "emodb2": """
        emodb_2.0/wav/03a01Fa.wav -> happiness 03 a01
        emodb_2.0/wav/09b01Ad.wav -> fear 09 b01
        emodb_2.0/wav/14b09Nb.wav -> neutral 14 b09
        wav/12a01Lb.wav -> boredom 12 a01
        wav/08a02Ec.wav -> disgust 08 a02
        wav/16a05Ta.wav -> sadness 16 a05
        wav/15b10Wc.wav -> anger 15 b10
    """,
    "baved": """
        Basic-Arabic-Vocal-Emotions-Dataset-master/0/0-m-21-0-1-105.wav -> normal 0 0
        6/100-f-6-6-0-72.wav -> low 100 6
        6/47-M-20-6-2-1749.wav -> high 47 6
    """,
    "ased": """
        ASED_V1/01Neutral/n1-01-01-01-01.wav -> neutral 01 -
        02Fearful/f2-03-02-02-44.wav -> fear 44 -
        03Happy/h3-05-01-02-65.wav -> happiness 65 -
        04Sad/S4-04-02-01-29.wav -> sadness 29 -
        05Angry/a5-01-01-02-12.wav -> anger 12 -
    """,
    "turev": """
        TurEV-DB-master/Sound Source/Calm/1984_sk_eger.wav -> calm 1984 eger
        Sound Source/Happy/1234_mt_acik.wav -> happiness 1234 acik
        Sound Source/Angry/1157_kz_beste.wav -> anger 1157 beste
        Sad/6783_uz_japon.wav -> sadness 6783 japon
    """,
    "mesd": """
        Mexican Emotional Speech Database (MESD)/Anger_C_A_abajo.wav -> anger - abajo
        Disgust_C_A_basta_ya.wav -> disgust - basta_ya
        Fear_F_A_arriba.wav -> fear - arriba
        Happiness_M_B_pelirrojo.wav -> happiness - pelirrojo
        Neutral_F_B_señal.wav -> neutral - señal
        Sadness_M_A_adios.wav -> sadness - adios
    """,
    "oreau": """
        OréauFR_02/f/sessj/10a02Ja.wav -> happiness 10 -
        OréauFR_02/m/sesss/07z03Sa.wav -> surprise 07 -
        OréauFR_02/m/sessc/16a20Ca.wav -> anger 16 -
        OréauFR_02/f/sessp/42a03Pa.wav -> fear 42 -
        f/sesst/24a03Ta.wav -> sadness 24 -
        f/sessd/37a08Da.wav -> disgust 37 -
        m/sessn/41a09Na.wav -> neutral 41 -
    """,
    "jl_corpus": """
        Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav -> anger female1 10
        JL(wav+txt)/male2_excited_3b_2.wav -> excitement male2 3
        female2_apologetic_15a_2.wav -> apology female2 15
        male1_neutral_1a_1.wav -> neutral male1 1
        male1_concerned_2b_1.wav -> concern male1 2
    """,
    "aesdd": """
        Acted Emotional Speech Dynamic Database/anger/a03 (3).wav -> anger 3 03
        anger/a06 (5)b.wav -> anger 5 06
        fear/f10 (01).wav -> fear 1 10
        happiness/h19 (6).wav -> happiness 6 19
        sadness/s01 (5)a.wav -> sadness 5 01
        disgust/d03 (01).wav -> disgust 1 03
    """,
    "enterface": """
        enterface database/subject 1/anger/sentence 1/s1_an_1.wav -> anger 1 1
        enterface database/subject 11/happiness/sentence 2/s12_ha_2.wav -> happiness 11 2
        enterface database/subject 12/happiness/sentence 2/s12_ha_2.wav -> happiness 12 2
        enterface database/subject 3/fear/sentence 4/s_3_fe_4.wav -> fear 3 4
        enterface database/subject 16/surprise/sentence 3/s16_su_3avi.wav -> surprise 16 3
        enterface database/subject 6/disgust/s6_di.wav -> disgust 6 -
        wav/s44_sa_5.wav -> sadness 44 5
        s43_su_1.wav -> surprise 43 1
    """,
    "emouerj": """
        emoUERJ/w04a11.wav -> anger w04 -
        m02h03.wav -> happiness m02 -
        m03s08.wav -> sadness m03 -
        w03n09.wav -> neutral w03 -
    """,
    "kannada": """
        audios/09-02-03.wav -> sadness 09 03
        07-04-06.wav -> happiness 07 06
        13-06-01.wav -> neutral 13 01
        09-05-05.wav -> fear 09 05
        13-01-05.wav -> anger 13 05
        05-03-01.wav -> surprise 05 01
    """,
    "banglaser": """
        BanglaSER/Actor 01/03-01-01-01-01-01-01.wav -> happiness 01 01
        BanglaSER/03-01-02-01-02-03-34.wav -> sadness 34 02
        03-01-03-02-03-02-17.wav -> anger 17 03
        03-01-04-02-01-01-20.wav -> surprise 20 01
        03-01-05-01-03-03-08.wav -> neutral 08 03
    """,
    "emovdb": """
        EmoV-DB/bea_Amused/amused_1-15_0001.wav -> amusement bea 0001
        EmoV-DB_sorted/josh/Sleepy/sleepiness_1-28_0011.wav -> sleepiness josh 0011
        jenie_Angry/anger_253-280_0253.wav -> anger jenie 0253
        sam_Disgusted/disgust_1-28_0028.wav -> disgust sam 0028
        sam_Neutral/neutral_1-28_0003.wav -> neutral sam 0003
    """,
    "casia": """
        CASIA/liuchanhg/angry/201.wav -> anger liuchanhg 201
        CASIA/ZhaoZuoxiang/neutral/250.wav -> neutral ZhaoZuoxiang 250
        wangzhe/surprise/233.wav -> surprise wangzhe 233
    """,
    "emofilm": """
        wav_corpus/f_ans001es.wav -> fear - -
        wav_corpus/m_rab0012it.wav -> anger - -
        m_tri005en.wav -> sadness - -
        f_dis010aes.wav -> disgust - -
        f_gio3it.wav -> happiness - -
    """,
    "demos": """
        DEMOS/PR_f_01_rab01a.wav -> anger 01 -
        DEMOS/NP_m_52_col04b.wav -> guilt 52 -
        NEU/f_08_neu01a.wav -> neutral 08 -
        PR_m_69_sor07.wav -> surprise 69 -
    """,
    "kbes": """
        KUET Bangla Emotional Speech (KBES) Dataset/Neutral/1-1-0-3-2.wav -> neutral - -
        2-2-1-12-1.wav -> happiness - -
        5-1-0-7.wav -> disgust - -
    """,
    "polish": """
        m3.s_trzymaj_5.wav -> fear m3 trzymaj
        m2.n_podaj_2.wav -> neutral m2 podaj
        polish/m5.a_nie_3.wav -> anger m5 nie
    """,
    "portuguese": """
        12sA_angry1.wav -> anger A -
        101pB_surprise12.wav -> surprise B -
        3sB_neutral4.wav -> neutral B -
    """,
    "thorsten_emotional": """
        amused/f2b06aa1103c26d530cc919c5b423224.wav -> amusement thorsten f2b06aa1103c26d530cc919c5b423224
        thorsten_v02/whisper/f2b06aa1103c26d530cc919c5b423224.wav -> whisper thorsten f2b06aa1103c26d530cc919c5b423224
        neutral/0b06aa1103c26d530cc919c5b423224f.wav -> neutral thorsten 0b06aa1103c26d530cc919c5b423224f
    """,
    "eaed": """
        Series/NellyKarim/NellyKarim_happy_ 01.wav -> happiness NellyKarim -
        NellyKarim_fearful_12.wav -> fear NellyKarim -
    """,
}
"""The corpora whose labels stand in paths."""

TABLES = {
    "meld": (
        {
            "MELD.Raw/train_sent_emo.csv": (
                "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
                '1,"What, no?",Chandler,neutral,neutral,0,0,8,21,"00:16:16,059","00:16:21,731"\n'
                '2,"Oh!",The Interviewer,joy,positive,0,1,8,21,"00:16:21,940","00:16:23,442"\n'
            ),
            "MELD.Raw/dev_sent_emo.csv": (
                "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
                '1,"Ah.",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n'
            ),
            "MELD.Raw/test_sent_emo.csv": (
                "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
                '1,"Why?",Mark,surprise,positive,0,0,3,19,"00:14:38,127","00:14:40,378"\n'
            ),
        },
        """
        MELD.Raw/train_splits/dia0_utt0.wav -> neutral Chandler -
        MELD.Raw/train_splits/dia0_utt1.wav -> happiness The_Interviewer -
        MELD.Raw/dev_splits_complete/dia0_utt0.wav -> sadness Phoebe -
        MELD.Raw/output_repeated_splits_test/dia0_utt0.wav -> surprise Mark -
        """,
    ),
    "emozionalmente": (
        {
            "emozionalmente/metadata/samples.csv": (
                "file_name,actor,emotion_expressed,sentence\n"
                "1616256756877.wav,user1,anger,vorrei\n"
                "1614951631538.wav,user2,neutrality,domani\n"
            )
        },
        """
        emozionalmente/audio/1616256756877.wav -> anger user1 vorrei
        emozionalmente/audio/1614951631538.wav -> neutral user2 domani
        """,
    ),
}
"""The corpora whose labels stand in tables: the tables as they are, and the recordings."""


def expectations(lines: str) -> dict[str, tuple[str, str | None, str | None]]:
    """Return `{path: (class, speaker, sentence)}`; `_` in a speaker stands for a blank."""
    found = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        path, _, said = line.partition(" -> ")
        emotion, speaker, text = said.split()
        found[path] = (emotion, None if speaker == "-" else speaker, None if text == "-" else text)
    return found
