from langchain_classic.retrievers import EnsembleRetriever
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore

HITS = []


class PolicyRetriever(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        HITS.append("policy")
        return [Document("REAL", metadata={"source": "real"})]


class Old(BaseRetriever):
    """Without a run manager, and with an argument of its own."""

    def _get_relevant_documents(self, query, k=1):
        HITS.append("old")
        return [Document("REAL")] * k


class Later(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        raise NotImplementedError

    async def _aget_relevant_documents(self, query, *, run_manager):
        HITS.append("later")
        return [Document("REAL")]


class Embeds:
    def embed_documents(self, texts):
        HITS.append("embeds")
        return [[1.0]] * len(texts)

    def embed_query(self, text):
        HITS.append("embeds")
        return [1.0]


class Watch(BaseCallbackHandler):
    seen = []

    def on_retriever_end(self, documents, **kwargs):
        self.seen.append(f"ended with {len(documents)}")

    def on_retriever_error(self, error, **kwargs):
        self.seen.append(f"failed: {error}")


policy, old, later = PolicyRetriever(), Old(), Later()
both = EnsembleRetriever(retrievers=[PolicyRetriever(), Old()], weights=[0.5, 0.5])
store = InMemoryVectorStore(Embeds()).as_retriever()
chain = policy | RunnableLambda(lambda found: told(found))
tool = create_retriever_tool(policy, "look_up", "Looks up a policy.")


def told(documents):
    for document in documents:
        assert isinstance(document, Document), document
    return [[d.page_content, d.metadata, d.id] for d in documents]


def ask(input):
    Watch.seen.clear()
    name, _, query = input.partition(": ")
    config = {"callbacks": [Watch()]}
    try:
        if name == "chain":
            found = chain.invoke(query)
        elif name == "named":
            found = told(policy.invoke(query, {"run_name": "the search"}))
        elif name == "tool":
            found = tool.invoke(query)
        elif name == "many":
            found = [told(each) for each in policy.batch(query.split(), config)]
        elif name == "old":
            found = told(old.invoke(query, config, k=3))
        else:
            found = told(globals()[name].invoke(query, config))
    except Exception as error:  # noqa: BLE001
        found = f"{type(error).__name__}: {error}"
    return {"output": {"found": found, "seen": list(Watch.seen), "hits": list(HITS)}}


async def ask_later(input):
    name, _, query = input.partition(": ")
    found = await globals()[name].ainvoke(query)
    return {"output": {"found": told(found), "hits": list(HITS)}}


def outside():
    """When the module is imported, no attempt is on."""
    try:
        policy.invoke("early")
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return "ran"


EARLY = outside()


def early(input):
    return {"output": {"found": EARLY, "hits": list(HITS)}}
