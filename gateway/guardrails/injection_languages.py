"""What attacks on models say in other languages than English."""

from gateway.guardrails.injection_rule import Rule

_PROMPTS = (
    r"(?:system ?-?prompt\w*|prompt (?:de sist|du syst|di sist|do sist|systemow)\w*|systeem ?prompt|sistem istem\w*)"
)

LANGUAGES: tuple[Rule, ...] = (
    Rule(
        "forget, in another language",
        r"\b(?:ignorier\w*|vergiss|missacht\w*|verwirf)\b[^.\n]{0,50}\b(?:vorher\w*|bisherig\w*|zuvor|bisher|davor"
        r"|gesagt|oben)\b"
        r"|\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er))\b[^.\n]{0,40}\b(?:précédent\w*|auparavant|avant|ci-dessus"
        r"|jusqu'ici|dit)\b"
        r"|\b(?:ignor[ae]|olvid[ae]|descart[ae])\b[^.\n]{0,30}\b(?:lo anterior|anterior\w*|antes|previ[ao]s?)\b"
        r"|\b(?:ignora|dimentica|scorda)\b[^.\n]{0,40}\b(?:precedent\w*|prima|detto|sopra)\b"
        r"|\b(?:ignore|esqueça|desconsidere)\b[^.\n]{0,40}\b(?:anterior\w*|antes|acima|dito)"
        r"|\b(?:negeer|vergeet)\b[^.\n]{0,40}\b(?:hiervoor|vorige|eerdere|hierboven|gezegd)"
        r"|\b(?:zignoruj|zapomnij|pomiń)\b[^.\n]{0,40}\b(?:poprzedni\w*|wcześniejsz\w*|powyższ\w*)"
        r"|(?:önceki|yukarıdaki)[^.\n]{0,25}(?:talimat|komut|kural)[^.\n]{0,25}(?:yok say|unut|görmezden"
        r"|dikkate alma)"
        r"|(?:تجاهل|انسَ|انس)[^.\n]{0,30}(?:السابقة|التعليمات|الأوامر)"
        r"|(?:पिछले|पहले|ऊपर)[^.\n]{0,25}(?:निर्देश|आदेश|नियम)[^.\n]{0,20}(?:अनदेखा|भूल|नज़रअंदाज़)"
        r"|(?:забудь|игнорируй|отбрось)\S*[^.\n]{0,40}(?:раньше|ранее|предыдущ|до этого|выше|прежн)"
        r"|(?:忽略|无视|忘记|忘掉|不要理会)[^。\n]{0,15}(?:之前|以上|前面|上面|先前)"
        r"|(?:これまで|以前|上記|前)の[^。\n]{0,12}(?:無視|忘れ)|(?:이전|위의|앞의)[^.\n]{0,12}(?:무시|잊)",
        1.0,
    ),
    Rule(
        "show the prompt, in another language",
        r"\b(?:zeig\w*|gib|nenn\w*|verrat\w*|wiederhol\w*|révèle\w*|montre\w*|affiche\w*|donne\w*|muéstra\w*"
        r"|muestra\w*|revela"
        r"|dime|enseña\w*|mostra\w*|rivela|dimmi|revele|mostre|exiba|diga|toon|geef|laat|pokaż|ujawnij|podaj"
        r"|göster\w*|yaz)\b"
        rf"[^.\n]{{0,40}}(?:{_PROMPTS}|\b(?:deine?n? (?:systemprompt|anweisungen|regeln|instruktionen)"
        r"|tes (?:consignes|instructions"
        r"|règles)|tus (?:instrucciones|reglas)|le tue (?:istruzioni|regole)|suas (?:instruções|regras)"
        r"|je (?:instructies|regels)))"
        rf"|{_PROMPTS}[^.\n]{{0,20}}(?:göster|anzeigen|ausgeben|weergeven|yaz)"
        r"|(?:اعرض|أظهر|اكشف)[^.\n]{0,20}(?:موجه النظام|تعليماتك|أوامرك)|(?:सिस्टम ?प्रॉम्प्ट"
        r"|अपने निर्देश)[^.\n]{0,15}(?:दिखा|बता)"
        r"|(?:покажи|выведи|раскрой|назови)\S*[^.\n]{0,25}(?:систем\S* (?:промпт|запрос|подсказк)"
        r"|свои (?:инструкции|правила))"
        r"|(?:输出|显示|告诉我|展示|透露|重复)[^。\n]{0,10}(?:系统提示|提示词|系统指令|你的指令|初始指令)"
        r"|(?:システム ?プロンプト|初期指示)[^。\n]{0,10}(?:表示|教え|見せ|出力)"
        r"|시스템 ?프롬프트[^.\n]{0,10}(?:보여|출력|알려|공개)",
        1.0,
    ),
    Rule(
        "no walls, in another language",
        r"\b(?:ohne|keine(?:rlei)?) (?:\w+ )?(?:einschränkung\w*|filter|regeln|grenzen|zensur"
        r"|beschränkung\w*)\b[^.\n]{0,30}\b(?:antwort\w*|du\b)"
        r"|\b(?:antworte|du (?:hast|bist|darfst))\b[^.\n]{0,40}\b(?:ohne|keine) (?:\w+ )?(?:einschränkung\w*"
        r"|filter|regeln|zensur)"
        r"|\b(?:tu n'as|tu n'avais|sans)\b[^.\n]{0,12}\b(?:aucune? (?:règle|restriction|limite|filtre)"
        r"|restrictions?|filtres?|censure)\b"
        r"|\b(?:no tienes|ya no tienes|responde sin|actúa sin)\b[^.\n]{0,15}\b(?:restricciones|filtros|reglas"
        r"|límites|censura)"
        r"|\b(?:non hai|rispondi senza)\b[^.\n]{0,15}\b(?:restrizioni|filtri|regole|limiti|censura)"
        r"|\b(?:você não tem|responda sem)\b[^.\n]{0,15}\b(?:restrições|filtros|regras|limites|censura)"
        r"|\b(?:je hebt geen|antwoord zonder)\b[^.\n]{0,15}\b(?:beperkingen|filters|regels)"
        r"|(?:у тебя нет|отвечай без)[^.\n]{0,15}(?:ограничени|правил|фильтр|цензур)"
        r"|你(?:现在)?(?:没有|不受|不再有)[^。\n]{0,6}(?:限制|约束|规则)|(?:没有任何|不受任何)(?:限制|约束)[^。\n]{0,10}(?:回答|必须)"
        r"|(?:制限|ルール)(?:は|が|を)(?:なく|無視|すべて解除|解除)|(?:모든 )?제한(?:을|이) (?:해제|없)",
        1.0,
    ),
)
"""The same in other languages: those of most of the world, and nobody's of all of it."""
