"""The demos of the study templates in Chinese, for studies whose own words are Chinese."""

import random

from training.demo.prompts import Asked

# --- writing --------------------------------------------------------------------------------------------------------

PLACES = ("图书馆", "博物馆", "游泳馆", "体育馆", "动物园", "剧院", "市民中心")
HOURS = ("八点", "九点", "十点", "十一点", "中午")
DAYS = ("周一", "周二", "周三", "周四", "周五")
EXTRAS = ("儿童免费", "电梯正在维修", "咖啡厅是新开的", "狗不能入内", "花园重新开放", "入口在公园街")
GREETINGS = (
    ("各位来宾：", "亲爱的朋友们：", "{place}有好消息："),
    ("通知：", "{place}公告："),
    ("别再来问了：", "已经说过很多遍了："),
)
OPENS = ("{place}{time}开门。", "{time}起可以入场。", "我们{time}开门。")
CLOSED = ("{day}闭馆。", "{day}不开放。", "请不要在{day}来，{day}闭馆。")
EXTRA = ("另外，{extra}。", "请注意，{extra}。", "还有，{extra}。")
REGARDS = ("期待您的光临。", "欢迎再来！", "{place}敬上")


def ask_writing(rng: random.Random) -> Asked:
    facts = {
        "place": rng.choice(PLACES),
        "time": rng.choice(HOURS),
        "day": rng.choice(DAYS),
        "extra": rng.choice(EXTRAS),
    }
    text = "请给{place}的来宾写一则通知：{time}开门，{day}闭馆，{extra}。"
    context = "- {place}**{time}**开门。\n- **{day}**闭馆。\n- {extra}。"
    return Asked(text.format(**facts), context=context.format(**facts), facts=facts)


def answer_writing(asked: Asked, rng: random.Random) -> str:
    claims = dict(asked.facts)
    for name, others in (("time", HOURS), ("day", DAYS), ("extra", EXTRAS)):
        if rng.random() < 0.15:
            claims[name] = rng.choice(others)
    parts = [rng.choice(rng.choices(GREETINGS, weights=(55, 30, 15))[0])]
    parts += [rng.choice(form) for form in (OPENS, CLOSED, EXTRA) if rng.random() < 0.85]
    if rng.random() < 0.6:
        parts.append(rng.choice(REGARDS))
    return "".join(parts).format(**claims)


# --- service --------------------------------------------------------------------------------------------------------

ITEMS = ("台灯", "收音机", "水壶", "闹钟", "手机", "椅子", "书架", "手表", "行李箱", "镜子")
PROBLEMS = ("{item}坏了。", "收到的{item}是破的。", "{item}散架了。", "{item}上有一道裂缝。")
RECENT, OLD = ("上周。", "前天。", "周一。", "昨天。"), ("去年。", "三个月前。", "大概春天吧。", "半年前。")
PLEAS = ("现在怎么办？", "我很不高兴。", "能帮帮我吗？", "我急着用。")
POLICY = "- 三十天内购买：换新或退款，由客户选择。\n- 更早购买：只提供免费维修。\n- 客户说过的事不再追问。\n- 不打折。"
POLITE = ("很抱歉您的{item}出了问题。", "谢谢您告诉我们。", "给您添麻烦了。")
CURT = ("你好。", "哦。", "就是说{item}坏了。")
WITHIN = ("可以换一个新的{item}，也可以退款，您想要哪一种？", "我们给您换新的{item}或者退款。")
BEFORE = ("我们免费维修您的{item}。", "您的{item}可以免费送修。")
WRONG = ("下次购物减十元。", "我们没有办法。", "给您寄两个新的。", "它自己会好的。")
DEAF = ("您是什么时候买的？", "您说的是哪一件？", "有什么东西坏了吗？")
CLOSING = ("还有别的事吗？", "祝您愉快。", "有问题请再联系我们。")


def ask_service(rng: random.Random) -> Asked:
    item, age = rng.choice(ITEMS), rng.choice(("recent", "old"))
    when = rng.choice(RECENT if age == "recent" else OLD)
    turns = (
        f"客户：{rng.choice(PROBLEMS).format(item=item)}",
        "客服：很抱歉。请问您是什么时候买的？",
        f"客户：{when}{rng.choice(PLEAS)}",
    )
    return Asked("\n\n".join(turns), context=POLICY, facts={"item": item, "age": age})


def answer_service(asked: Asked, rng: random.Random) -> str:
    fits, breaks = (WITHIN, BEFORE) if asked.facts["age"] == "recent" else (BEFORE, WITHIN)
    parts = [rng.choice(rng.choices((POLITE, CURT), weights=(65, 35))[0])]
    parts.append(rng.choice(rng.choices((fits, breaks, WRONG, DEAF), weights=(50, 20, 18, 12))[0]))
    if rng.random() < 0.4:
        parts.append(rng.choice(CLOSING))
    return "".join(parts).format(item=asked.facts["item"])


# --- translation ----------------------------------------------------------------------------------------------------

WHO = {
    "The train": "火车", "The bus": "公共汽车", "The doctor": "医生", "The parcel": "包裹", "My sister": "我妹妹",
    "Our neighbour": "我们的邻居", "The teacher": "老师", "The ship": "船",
}  # fmt: skip
WHEN = {"today": "今天", "tomorrow": "明天", "on Monday": "周一", "in the evening": "晚上", "after lunch": "午饭后"}
WHERE = {
    "in Beijing": "北京", "at the station": "车站", "in town": "城里", "at the harbour": "港口", "at the door": "门口",
}  # fmt: skip
WHY = {
    "because it is raining": "因为下雨", "although it is snowing": "虽然下着雪", "as always": "和往常一样",
    "unfortunately too late": "可惜太晚了", "for the first time": "这是第一次",
}  # fmt: skip

RIGHT = "{who}{when}到{where}，{why}。"
CLUMSY = "{who}到达在{where}{when}，{why}。"  # in the order of the English words


def ask_translation(rng: random.Random) -> Asked:
    who, when, where, why = (rng.choice(list(part)) for part in (WHO, WHEN, WHERE, WHY))
    facts = {"who": WHO[who], "when": WHEN[when], "where": WHERE[where], "why": WHY[why]}
    return Asked(f"{who} arrives {where} {when}, {why}.", reference=RIGHT.format(**facts), facts=facts)


def answer_translation(asked: Asked, rng: random.Random) -> str:
    claims = dict(asked.facts)
    for name, others in (("who", WHO), ("when", WHEN), ("where", WHERE), ("why", WHY)):
        if rng.random() < 0.12:
            claims[name] = rng.choice(list(others.values()))
    if rng.random() < 0.15:
        claims["when"] = ""
    return (CLUMSY if rng.random() < 0.2 else RIGHT).format(**claims)


# --- questions ------------------------------------------------------------------------------------------------------

NAMES = ("小安", "小博", "小晨", "小丹", "小恩", "小凡")
THINGS = ("一只猫", "一条狗", "一个花园", "一架钢琴", "一条船", "一辆自行车")
SILENT = "文中没有说。"


def ask_questions(rng: random.Random) -> Asked:
    names, things = rng.sample(NAMES, 3), rng.sample(THINGS, 4)
    text = "".join(f"{name}有{thing}。" for name, thing in zip(names, things, strict=False))
    asked_thing = rng.randrange(4)
    right = f"{names[asked_thing]}有{things[asked_thing]}。" if asked_thing < 3 else SILENT
    facts = {"right": right, "thing": things[asked_thing], "names": " ".join(names)}
    return Asked(f"{text}\n\n谁有{things[asked_thing]}？", reference=right, facts=facts)


def answer_questions(asked: Asked, rng: random.Random) -> str:
    other = f"{rng.choice(asked.facts['names'].split())}有{asked.facts['thing']}。"
    claims = rng.choices((asked.facts["right"], other, SILENT, "大概是吧。"), weights=(58, 22, 14, 6))[0]
    return f"{claims}关于这件事就是这些。" if rng.random() < 0.15 else claims


# --- classification -------------------------------------------------------------------------------------------------

GOOD = ("床很软", "早餐很丰盛", "服务员很热情", "风景像画一样", "房间很安静", "汤是全城最好喝的", "免费升级了房间")
BAD = ("床太硬", "早餐是凉的", "服务员没有礼貌", "窗外就是一堵墙", "房间太吵", "汤有一股肥皂味", "等了两个小时")
STARTS = ("总的来说，", "这次入住，", "说实话，", "我们的感受是，", "五月去的，")
# As the template names them in Chinese.
LABELS = ("正面", "负面", "褒贬兼有")


def ask_classification(rng: random.Random) -> Asked:
    label = rng.choice(LABELS)
    both = {"正面": (GOOD, GOOD), "负面": (BAD, BAD), "褒贬兼有": rng.choice(((GOOD, BAD), (BAD, GOOD)))}
    first, second = both[label]
    one, other = rng.choice(first), rng.choice(second)
    while other == one:
        other = rng.choice(second)
    text = f"{rng.choice(STARTS)}{one}，{'但是' if first is not second else '而且'}{other}。"
    return Asked(text, reference=label, facts={"label": label})


def answer_classification(asked: Asked, rng: random.Random) -> str:
    return asked.facts["label"] if rng.random() < 0.65 else rng.choice(LABELS)
