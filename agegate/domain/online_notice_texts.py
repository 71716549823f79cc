"""The sentences of the online notice (16 CFR 312.4(d)), in each language under the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agegate.domain.words import Language

ONLINE: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "title": "Children’s privacy at {operator}",
        "operators": "Who is responsible",
        "operators.contact": "{operator}, {address}. Telephone {phone}, e-mail {email}.",
        "operators.clients": "This notice is about {clients}.",
        "operators.us": (
            "agegate asks ages and parents on behalf of {operator}, keeps the answers, and uses "
            "them for nothing else."
        ),
        "practices": "What is collected, what for, and for how long",
        "practices.consent": (
            "A parent’s permission comes first. This is what may then be collected:"
        ),
        "practices.none": "{operator} collects no personal information from children.",
        "practices.item": (
            "{title}: {data}. {use} That is why it is needed. Kept for at most {kept}, then "
            "deleted."
        ),
        "receivers.public": (
            "{operator} has declared no way for a child to make any of it public."
        ),
        "receivers": "Who else receives it",
        "receivers.nobody": "Nobody. {operator} passes none of it on to anyone else.",
        "receivers.item": "{name}, in the category “{category}”, for {titles}. Its aims: {aims}.",
        "receivers.general": "{name}, in the category “{category}”. Its aims: {aims}.",
        "receivers.integral": "The service can’t work without it: {reason}",
        "receivers.provider": "It may use the information for nothing else.",
        "receivers.refusable": "A parent can refuse this and still allow the rest.",
        "age": "When we ask about age",
        "age.parents": (
            "Parents: we ask for the month and year of birth, or for the day too where the law of "
            "the place needs it. We turn the answer into an age range at once and do not keep the "
            "date. The range, how we learned it and when it runs out stay with the account at the "
            "app until it is erased. The app learns the range and never the date."
        ),
        "age.estimation": (
            "Where an app uses a camera to estimate an age, we look at one picture, keep the "
            "estimated range and delete the picture at once."
        ),
        "age.children": (
            "Children: we ask when you were born so that we know which rules keep you safe. We "
            "don’t keep your birthday. If you need a grown-up’s help, we write to them. You can "
            "ask them what we know about you, and they can tell us to delete it."
        ),
        "age.address": (
            "A parent’s e-mail address that a child gives us is used to ask for permission. "
            "Without permission it is deleted no more than {kept} after the child gave it."
        ),
        "age.record": (
            "A permission lasts {term} at most. We then keep a record that it was asked and "
            "answered. The record holds no name and no address."
        ),
        "cookies": "The cookie that remembers an answer",
        "cookies.use": (
            "After an answer to the age question, a cookie remembers it for {kept}, so that a "
            "second try does not lead to another result. This one internal operation protects the "
            "integrity of the service and lets us keep the law (16 CFR 312.5(c)(7))."
        ),
        "cookies.guard": (
            "The cookie holds a random value and no birth date. Only this site can read it. It is "
            "never used to contact anyone, to build a profile or to show advertising, and no other "
            "company receives it."
        ),
        "audio": "Sound recordings",
        "audio.none": (
            "{operator} does not use the exception for voice recordings (16 CFR 312.5(c)(9)). A "
            "recording is collected only if it is named above and a parent has allowed it."
        ),
        "rights": "What parents can do",
        "rights.review": "See what has been collected from the child.",
        "rights.delete": "Have it deleted.",
        "rights.refuse": "Refuse that more is collected or used, and withdraw a permission.",
        "procedures": "How to do it",
        "procedures.contact": "Write to {email}, call {phone} or send a letter to {address}.",
        "procedures.portal": (
            "Or use our pages for parents, which do all of this. Type in the address that we have "
            "written to, and we send a link for signing in:"
        ),
    },
    "es": {
        "title": "La privacidad de los menores en {operator}",
        "operators": "Quién es responsable",
        "operators.contact": "{operator}, {address}. Teléfono {phone}, correo {email}.",
        "operators.clients": "Este aviso trata de {clients}.",
        "operators.us": (
            "agegate pregunta la edad y pide permiso a madres y padres por cuenta de {operator}, "
            "guarda las respuestas y no las usa para nada más."
        ),
        "practices": "Qué se recoge, para qué y cuánto tiempo se guarda",
        "practices.consent": (
            "Primero hace falta el permiso de la madre o el padre. Con él se puede recoger:"
        ),
        "practices.none": "{operator} no recoge datos personales de menores.",
        "practices.item": (
            "{title}: {data}. {use} Para eso hace falta. Se guarda como máximo {kept} y después se "
            "borra."
        ),
        "receivers.public": (
            "{operator} declara que un menor no tiene forma de hacer públicos estos datos."
        ),
        "receivers": "Quién más los recibe",
        "receivers.nobody": "Nadie. {operator} no entrega estos datos a nadie más.",
        "receivers.item": "{name}, de la categoría «{category}», para {titles}. Sus fines: {aims}.",
        "receivers.general": "{name}, de la categoría «{category}». Sus fines: {aims}.",
        "receivers.integral": "El servicio no funciona sin ello: {reason}",
        "receivers.provider": "No puede usar los datos para nada más.",
        "receivers.refusable": "La madre o el padre puede negarse a esto y permitir lo demás.",
        "age": "Cuando preguntamos la edad",
        "age.parents": (
            "Para madres y padres: preguntamos el mes y el año de nacimiento, y también el día "
            "donde la ley del lugar lo exige. Convertimos la respuesta enseguida en un tramo de "
            "edad y no guardamos la fecha. El tramo, la forma en que lo supimos y hasta cuándo "
            "vale quedan con la cuenta de la aplicación hasta que se borra. La aplicación conoce "
            "el tramo y nunca la fecha."
        ),
        "age.estimation": (
            "Cuando una aplicación usa la cámara para estimar la edad, miramos una sola imagen, "
            "guardamos el tramo estimado y borramos la imagen en el acto."
        ),
        "age.children": (
            "Para niñas y niños: te preguntamos cuándo naciste para saber qué reglas te protegen. "
            "No guardamos tu cumpleaños. Si hace falta una persona adulta, le escribimos. Puedes "
            "preguntarle qué sabemos de ti, y ella puede pedirnos que lo borremos."
        ),
        "age.address": (
            "La dirección de correo de la madre o el padre que nos da un menor sirve para pedir "
            "permiso. Sin permiso se borra como máximo {kept} después de que nos la diera."
        ),
        "age.record": (
            "Un permiso dura como máximo {term}. Después guardamos constancia de que se pidió y se "
            "respondió. Esa constancia no lleva ni nombre ni dirección."
        ),
        "cookies": "La cookie que recuerda una respuesta",
        "cookies.use": (
            "Tras responder a la pregunta de la edad, una cookie recuerda la respuesta durante "
            "{kept}, para que un segundo intento no dé otro resultado. Esta única operación "
            "interna "
            "protege la integridad del servicio y nos permite cumplir la ley (16 CFR 312.5(c)(7))."
        ),
        "cookies.guard": (
            "La cookie lleva un valor al azar y ninguna fecha de nacimiento. Solo este sitio puede "
            "leerla. Nunca se usa para contactar con nadie, hacer un perfil ni mostrar publicidad, "
            "y no la recibe ninguna otra empresa."
        ),
        "audio": "Grabaciones de voz",
        "audio.none": (
            "{operator} no usa la excepción para grabaciones de voz (16 CFR 312.5(c)(9)). Una "
            "grabación se recoge solo si se nombra arriba y la madre o el padre lo ha permitido."
        ),
        "rights": "Qué pueden hacer madres y padres",
        "rights.review": "Ver qué se ha recogido del menor.",
        "rights.delete": "Hacer que se borre.",
        "rights.refuse": "Negarse a que se recoja o use más, y retirar un permiso.",
        "procedures": "Cómo se hace",
        "procedures.contact": (
            "Escriba a {email}, llame al {phone} o envíe una carta a {address}."
        ),
        "procedures.portal": (
            "O use nuestras páginas para madres y padres, donde se hace todo esto. Escriba la "
            "dirección a la que le escribimos y le enviamos un enlace para entrar:"
        ),
    },
}
