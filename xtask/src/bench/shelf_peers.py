# Qdrant's engine and bm25s over the chunks and queries of a shelf: how fast they index and search, how good their first ten are, as JSON.
#
# The directory has chunks.jsonl and queries.jsonl, and their vectors as 32-bit floats in chunks.f32 and queries.f32.
import gc, json, math, sys, time
import bm25s, numpy, Stemmer
import qdrant_edge as qdrant

folder, dimensions = sys.argv[1], int(sys.argv[2])
lines = lambda name: [json.loads(line) for line in open(f"{folder}/{name}", encoding="utf-8")]
vectors = lambda name: numpy.fromfile(f"{folder}/{name}", dtype="<f4").reshape(-1, dimensions)
chunks, queries = lines("chunks.jsonl"), lines("queries.jsonl")
chunk_vectors, query_vectors = vectors("chunks.f32"), vectors("queries.f32")
known = (query_vectors ** 2).sum(axis=1) > 0


def measured(search):
    """Milliseconds of processor time per query of this process, all its threads included, and nDCG@10 of those that are judged."""
    gain, judged, wall, cpu = 0.0, 0, [], []
    for number, query in enumerate(queries):
        begun, used = time.perf_counter(), time.process_time()
        found = search(number, query["text"])
        cpu.append((time.process_time() - used) * 1000)
        wall.append((time.perf_counter() - begun) * 1000)
        if query["answer"] is not None:
            judged += 1
            gain += sum(1 / math.log2(rank + 2) for rank, at in enumerate(found[:10]) if at == query["answer"])
    # The first ones find cold caches.
    at = lambda times, share: sorted(times[50:])[math.ceil(len(times[50:]) * share) - 1]
    figures = {"p50": at(wall, 0.5), "p99": at(wall, 0.99), "cpu_p50": at(cpu, 0.5), "cpu_p99": at(cpu, 0.99)}
    return figures | {"ndcg": gain / judged if judged else None}


out = {}
stemmer = Stemmer.Stemmer("english")
terms = lambda texts: bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
begun = time.process_time()
index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
index.index(terms([chunk["text"] for chunk in chunks]), show_progress=False)
out["bm25s"] = {"indexing": len(chunks) / (time.process_time() - begun)}
out["bm25s"]["words"] = measured(
    lambda _, text: index.retrieve(terms([text]), k=10, show_progress=False)[0][0].tolist())
del index
gc.collect()

model = qdrant.Bm25()
begun = time.process_time()
shard = qdrant.EdgeShard.create(f"{folder}/qdrant", qdrant.EdgeConfig(
    vectors={"meaning": qdrant.EdgeVectorParams(size=dimensions, distance=qdrant.Distance.Dot)},
    sparse_vectors={"words": qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
    hnsw_config=qdrant.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=1),
    quantization_config=qdrant.ScalarQuantizationConfig(type=qdrant.ScalarType.Int8, always_ram=True),
    # One segment, so that a query is one search.
    optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1_000),
    max_search_threads=1,
))
shard.update(qdrant.UpdateOperation.create_field_index("region", qdrant.PayloadSchemaType.Keyword))
for start in range(0, len(chunks), 1_000):
    shard.update(qdrant.UpdateOperation.upsert_points([
        qdrant.Point(
            start + at,
            {"meaning": chunk_vectors[start + at].tolist(), "words": model.embed_document(chunk["text"])},
            {"region": chunk["region"]},
        )
        for at, chunk in enumerate(chunks[start:start + 1_000])
    ]))
shard.optimize()
out["qdrant"] = {"indexing": len(chunks) / (time.process_time() - begun)}


def search(mode, region=None):
    allowed = region and qdrant.Filter(must=[qdrant.FieldCondition("region", match=qdrant.MatchValue(region))])

    def ids(number, text):
        words = dict(query=qdrant.Query.Nearest(model.embed_query(text), using="words"))
        meaning = dict(query=qdrant.Query.Nearest(query_vectors[number].tolist(), using="meaning"))
        if mode == "words" or not known[number]:
            request = qdrant.QueryRequest(limit=10, filter=allowed, **words)
        elif mode == "meaning":
            request = qdrant.QueryRequest(limit=10, filter=allowed, **meaning)
        else:
            legs = [qdrant.Prefetch(limit=100, filter=allowed, **leg) for leg in (words, meaning)]
            request = qdrant.QueryRequest(limit=10, prefetches=legs, query=qdrant.Fusion.Rrf(k=60))
        return [point.id for point in shard.query(request)]

    return ids


for mode in ("hybrid", "words", "meaning"):
    out["qdrant"][mode] = measured(search(mode))
for region in ("ten-percent", "one-percent", "tenth-of-a-percent"):
    out["qdrant"][region] = measured(search("hybrid", region))
print(json.dumps(out))
