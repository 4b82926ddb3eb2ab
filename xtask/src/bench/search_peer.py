# nDCG@10 of bm25s (Lucene variant) over a set in the layout of BEIR, and the time of a query, as JSON.
import json, math, sys, time
import bm25s, Stemmer

folder, language = sys.argv[1], sys.argv[2]
lines = lambda name: [json.loads(line) for line in open(f"{folder}/{name}", encoding="utf-8")]
corpus, queries, relevant = lines("corpus.jsonl"), lines("queries.jsonl"), {}
for line in open(f"{folder}/qrels.tsv", encoding="utf-8"):
    query, document, _ = line.rstrip("\n").split("\t")
    relevant.setdefault(query, set()).add(document)
stemmer = Stemmer.Stemmer(language)
terms = lambda texts: bm25s.tokenize(
    texts, stopwords="en" if language == "english" else [], stemmer=stemmer, show_progress=False)
index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
begun = time.perf_counter()
index.index(terms([document["text"] for document in corpus]), show_progress=False)
index_ms = (time.perf_counter() - begun) * 1000
total, times = 0.0, []
for query in queries:
    begun = time.perf_counter()
    found, _ = index.retrieve(terms([query["text"]]), k=min(10, len(corpus)), show_progress=False)
    times.append((time.perf_counter() - begun) * 1000)
    right = relevant[query["_id"]]
    gain = sum(1 / math.log2(rank + 2) for rank, at in enumerate(found[0]) if corpus[at]["_id"] in right)
    total += gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(right))))
times.sort()
print(json.dumps({"ndcg@10": total / len(queries), "p50_ms": times[len(times) // 2], "index_ms": index_ms}))
