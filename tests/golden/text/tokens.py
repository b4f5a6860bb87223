"""Numbers of tokens as transformers gives them, for tests/unit/models/tokenizers_test.cpp.

usage: tokens.py OUT.json [SHARED]    (needs transformers)

The small vocabularies beside this file were trained on the texts below, and are so again when they are gone. With SHARED,
a folder with text/ and vocab/ of the shared data, also digests of the numbers of every field of every line there.
"""
import gzip
import json
import pathlib
import sys

try:
    import tokenizers
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HERE = pathlib.Path(__file__).parent
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]
TEXTS = [
    "", " ", "a", "The quick brown fox jumps over the lazy dog.", "  leading, trailing and   several blanks  ",
    "tabs\tand\nnew lines\r\nof Windows\r\n", "\n\n\n", "x \n y", "x  \n  y ", "\u00a0no-break\u00a0 space\u3000wide",
    "It's, they're, I'd, we'll, I'm, you've, can't; IT'S, 'tis, rock'n'roll, ' s, ''s", "'s", "don''t", "!'s '!s",
    "1234 12.5 3,000,000 1e-5 2nd x2 \u0663\u0664 \u2167 \u00bd \u00b2",
    "\u00c5ngstr\u00f6m na\u00efve caf\u00e9 cafe\u0301 \u1e9b\u0323 \u0130stanbul \u03a3\u0391\u03a3 STRASSE stra\u00dfe \ufb01n",
    "a\u0301\u0323b \u0301 o\u0308\u0304", "\u0915\u094d\u0937\u093f \u0e01\u0e33 \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
    "\u4f60\u597d\u4e16\u754c abc\u4e2ddef \u65e5\u672c\u8a9e\u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \U00020000\U0002b8ff\U0002b930\uf900\u3400",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f ok\U0001f44d\U0001f3fd :-) \u263a",
    "zero\u200bwidth\u200djoin\ufeffmark\u00adsoft \u202eright\u202c", "nul\x00bell\x07esc\x1b\x7f\x85next\x0bvt\x0cff\x1cfs",
    "\ufffd replaced \ue000 private \u2028line\u2029par", "a" * 100, "a" * 101, "\u00e9" * 100 + " " + "e\u0301" * 100 + " " + "b" * 300,
    "$1+2=3 <a|b> ^~` @user #tag a_b c\\d {x}[y](z) \u2014 \u2026 \u201cquoted\u201d \u00ab\u00bb \u00a1\u00bf \u20ac5 \u2116 \u00a7 \u2122",
    "e-mail: someone@example.org, http://example.org/a?b=c&d=%20", "U.S.A. Mr. O'Neil... wait -- what?!?!", "WoRdS iN MiXeD cAsE",
    "[CLS] and [SEP] written[MASK]out [UNK] [PAD] [cls]", "<s>and</s> <mask> <pad>x<unk> <|endoftext|> <S>", "[SEP", "<|endoftext",
    "ab" * 200, "the the the theatre there other then", "\u00b7\u0387 \u212b \u2126 \uff21\uff42\uff11", "\u1100\u1161\u11a8 \uac00\uac01",
]
PAIRS = [("the quick brown fox", "jumps over"), ("a", "b"), ("", "b"), ("a", ""), ("", ""),
         ("one two three four five six seven eight nine ten", "eleven"), ("one", "two three four five six seven eight nine ten eleven"),
         ("one two three four five six seven eight", "nine ten eleven twelve one two three four"),
         ("x y z w x y z w", "x y z w x y z w x")]
LENGTHS = (8, 9, 12, 13, 64)


def train(folder):
    """Vocabularies of some hundred tokens."""
    word_piece = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    word_piece.normalizer = tokenizers.normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    word_piece.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    both = TEXTS + [text.lower() for text in TEXTS] + [text for pair in PAIRS for text in pair]
    words = [text for text in both if len(text) < 90]
    word_piece.train_from_iterator(words, tokenizers.trainers.WordPieceTrainer(
        vocab_size=420, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    vocabulary = sorted(word_piece.get_vocab(), key=word_piece.get_vocab().get)
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary), encoding="utf-8")
    byte_pair = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte_pair.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_pair.train_from_iterator(words, tokenizers.trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(byte_pair.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = [" ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")


def train_clip(folder):
    """Merges of CLIP's kind, in which the last byte of a word is another token than inside it."""
    byte_pair = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix="</w>"))
    theirs = transformers.CLIPTokenizer()
    byte_pair.normalizer, byte_pair.pre_tokenizer = theirs._tokenizer.normalizer, theirs._tokenizer.pre_tokenizer
    byte_pair.train_from_iterator(TEXTS, tokenizers.trainers.BpeTrainer(
        vocab_size=800, special_tokens=[], show_progress=False, end_of_word_suffix="</w>", max_token_length=24,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    merges = [" ".join(merge) for merge in json.loads(byte_pair.to_str())["model"]["merges"]]
    (folder / "clip-merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")


def read_merges(path):
    text = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with text:
        return [tuple(line.split()) for line in text.read().split("\n") if line and "#version" not in line]


def bert(path, lower_case=True):
    vocabulary = {token: i for i, token in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))}
    return transformers.BertTokenizer(vocab=vocabulary, do_lower_case=lower_case)


def clip(merges):
    """The vocabulary follows from the merges: bytes, bytes at the end of a word, merges, marks."""
    merges = read_merges(merges)[:49152 - 256 - 2]
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    symbols = [chr(byte) for byte in printed] + [chr(0x100 + i) for i in range(256 - len(printed))]
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(merge) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def byte_level(kind, vocabulary, merges):
    return kind(vocab=json.loads(vocabulary.read_text(encoding="utf-8")), merges=read_merges(merges))


def small(folder):
    files = folder / "vocab.json", folder / "merges.txt"
    return {"bert": bert(folder / "vocab.txt"), "bert cased": bert(folder / "vocab.txt", lower_case=False),
            "roberta": byte_level(transformers.RobertaTokenizer, *files),
            "gpt2": byte_level(transformers.GPT2Tokenizer, *files), "clip": clip(folder / "clip-merges.txt")}


def fnv(numbers, state):
    for number in numbers:
        state = ((state ^ number) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return state


def shared_digests(shared):
    """A hash of the numbers of each file's fields, frame included; a field ends with the number 2^32 - 1."""
    large = {"bert": bert(shared / "vocab/bert-base-uncased-vocab.txt"),
             "gpt2": byte_level(transformers.GPT2Tokenizer, shared / "vocab/gpt2-encoder.json", shared / "vocab/gpt2-vocab.bpe"),
             "clip": clip(shared / "vocab/clip-bpe_simple_vocab_16e6.txt.gz")}
    digests = {}
    for file in sorted(shared.glob("text/*/*.t[sx][vt]")) + sorted(shared.glob("text/*/*/*.t[sx][vt]")):
        text = file.read_bytes().decode("utf-8-sig")
        fields = [field for line in text.split("\n") for field in line.split("\t")]
        for name, tokenizer in large.items():
            state = 0xCBF29CE484222325
            for start in range(0, len(fields), 10000):
                for numbers in tokenizer(fields[start:start + 10000])["input_ids"]:
                    state = fnv([*numbers, 0xFFFFFFFF], state)
            digests[f"{name} {file.relative_to(shared).as_posix()}"] = f"{state:016x}"
            print(name, file.name, len(fields), flush=True)
    return digests


def main():
    if not (HERE / "vocab.txt").exists():
        train(HERE)
    if not (HERE / "clip-merges.txt").exists():
        train_clip(HERE)
    made = {"texts": [], "pairs": [], "shared": {}}
    every = small(HERE)
    for text in TEXTS:
        made["texts"].append({"text": text, **{name: tokenizer(text)["input_ids"] for name, tokenizer in every.items()}})
    for first, second in PAIRS:
        for longest in LENGTHS:
            entry = {"first": first, "second": second, "longest": longest}
            for name, tokenizer in every.items():
                # as a batch: alone, an empty second text counts as none
                out = tokenizer([first], [second], truncation=True, max_length=longest)
                entry[name] = out["input_ids"][0]
                if name == "bert":
                    entry["types"] = out["token_type_ids"][0]
            made["pairs"].append(entry)
    if len(sys.argv) > 2 and pathlib.Path(sys.argv[2]).exists():
        made["shared"] = shared_digests(pathlib.Path(sys.argv[2]))
    lines = [f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(x, separators=(',', ':')) for x in made[key]) + "\n]"
             for key in ("texts", "pairs")]
    pathlib.Path(sys.argv[1]).write_text("{\n" + ",\n".join([*lines, '"shared": ' + json.dumps(made["shared"], indent=0)]) + "\n}\n")


if __name__ == "__main__":
    main()
