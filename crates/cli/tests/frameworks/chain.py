import sys
import anthropic, openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

url, key = sys.argv[1:]


class Tide(BaseModel):
    """When the tide is high."""

    port: str
    hour: int


@tool
def tide(port: str) -> str:
    """The tide in a port."""
    return f"high in {port} at noon"


def clients(model):
    yield ChatOpenAI(model=model, base_url=url + "/llm/v1", api_key=key, max_retries=0), {"method": "json_schema"}
    yield ChatAnthropic(model=model, base_url=url + "/llm", api_key=key, max_retries=0, max_tokens=100), {}


for chat, how in clients("fast"):
    name = type(chat).__name__
    question = HumanMessage("When is the tide high?")
    answer = chat.invoke([question])
    assert answer.text == "The tide is high at noon.", (name, answer)
    assert answer.usage_metadata["output_tokens"] == 7, (name, answer)
    pieces = list(chat.stream([question]))
    assert "".join(piece.text for piece in pieces) == "The tide is high at noon.", (name, pieces)
    tools = chat.bind_tools([tide])
    called = tools.invoke([question])
    assert called.tool_calls[0]["args"] == {"port": "Kiel"}, (name, called)
    whole = None
    for piece in tools.stream([question]):
        whole = piece if whole is None else whole + piece
    assert whole.tool_calls[0]["args"] == {"port": "Kiel"}, (name, whole)
    call = called.tool_calls[0]
    said = tools.invoke([question, called, ToolMessage(tide.invoke(call["args"]), tool_call_id=call["id"])])
    assert said.text == "The tide is high at noon.", (name, said)
    found = chat.with_structured_output(Tide, **how).invoke([question])
    assert found == Tide(port="Kiel", hour=12), (name, found)
for chat, how in clients("none"):
    try:
        chat.invoke("x")
        raise AssertionError("no error")
    except (openai.NotFoundError, anthropic.NotFoundError) as error:
        assert "there is no model `none`" in str(error), error
print("called")
