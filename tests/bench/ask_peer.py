"""ask_peer.py URL COUNT AT_ONCE: the same questions as asking_test.lua by the official client, AsyncOpenAI."""
import asyncio
import sys
import time

import openai

url, count, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SYSTEM = "Витягни елементи закону. " * 20


async def main():
    good = 0
    numbers = iter(range(1, count + 1))
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=5) as client:

        async def work():
            nonlocal good
            for number in numbers:
                answer = await client.chat.completions.create(
                    model="gpt-4o-mini", temperature=0, seed=42,
                    messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Стаття {number}"}])
                good += answer.choices[0].finish_reason == "stop"

        began = time.monotonic()
        await asyncio.gather(*(work() for _ in range(at_once)))
        print(f"{good} answers in {time.monotonic() - began:.3f} s (openai {openai.__version__})")


asyncio.run(main())
