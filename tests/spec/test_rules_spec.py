# ruff: noqa: E501 (tables read better whole)
"""Worked examples of the built-in rules: the suspicion, and beside it the innocent look-alike.

Every claim says which rules hit it and what is at issue (``RULE/row of knowledge:amount``); ``-`` is
no hit of any rule of the whole set. Each table holds on DuckDB and on Spark, and on the doctor's
screen, which sees one claim at a time.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fraud.rules.rule_set import load_rule_set
from tests.spec.rule_cases import Case, Judged, catalogue, expected, judge, tables_of

PRICES = """
name                category     price
阿托伐他汀钙片          drug         2
瑞舒伐他汀钙片          drug         3
二甲双胍片             drug         1
黄体酮胶囊             drug         3.5
非那雄胺片             drug         4
塞来昔布胶囊           drug         5
小儿氨酚黄那敏颗粒       drug         2
硝酸甘油片             drug         1
西地那非片             drug         30
维生素C片             drug         1
氯化钠注射液           drug         10
普通病房床位           bed          40
二级护理              nursing      20
常规心电图             exam         30
胸部DR摄影            exam         80
腹部B超               exam         120
血脂四项              lab          50
总胆固醇测定           lab          8
肿瘤标志物组合         lab          200
前列腺特异抗原          lab          60
静脉输液              treatment    5
电子针疗仪             treatment    50
中频脉冲治疗           treatment    20
无抽搐电休克           treatment    300
骨密度测定             exam         100
胸部CT平扫            exam         400
头部磁共振平扫          exam         700
白内障超声乳化          surgery      3000
PET-CT               exam         7000
冠脉支架              consumable   8000
经皮冠状动脉支架置入术    surgery      12000
限价药               drug         10
目录限女药            drug         10
目录限成人药           drug         10
按盒药               drug         30
"""
ITEMS = """
name       category sex min_age max_age limit days
限价药      drug     -   -       -       10    -
目录限女药   drug     F   -       -       -     -
目录限成人药 drug     -   18      -       -     -
黄体酮胶囊   drug     F   -       -       -     -
按盒药      drug     -   -       -       -     30
"""
RULES = """
[[rule]]
code = "X-AUTUMN"
name_zh = "电针限男"
name_en = "a rule of one's own"
explanation_zh = "自定义规则"
explanation_en = "own rule"
result = "suspicious"
kind = "limit"
items = "name:电子针疗仪"
sex = "M"
clause = "条例第三十八条"
source = "test"
version = "1"
effective_from = "2026-03-15"
effective_to = "2026-04-10"
"""
COURSES = "id,items,unit,limit,window,source\nMY-1,name:中频脉冲治疗,times,10,month,test\n"

OFTEN = "\n".join(
    f"{who}{n} {who} h{n % 3 + 1} 03-{n:02d} {dx} 维生素C片 {'P-FREQUENCY:0' if who == 'a' and n == 31 else '-'} visit {n}"
    for who, most, dx in (("a", 31, "M54.5"), ("b", 30, "M54.5"), ("c", 31, "N18.5"))
    for n in range(1, most + 1)
)

CASES = [
    # 31 visits in a month; thirty are allowed, and a patient on dialysis may come as often as he must.
    Case("often", f"claim patient place in dx charges hits why\n{OFTEN}"),
    Case(
        "split-stay",
        """
        claim        patient place kind      dept       in    out   settled dx    total visit hits             why
        first        a       h1    inpatient general    03-01 03-05 -       J18.9 3000  -     -                the first stay
        again        a       h1    inpatient general    03-08 03-12 -       J18.0 2800  -     P-READMIT:2800   back after three days for the same diagnosis
        ill          b       h1    inpatient general    03-01 03-05 -       I63.9 3000  -     -                the first stay
        transfer     b       h2    inpatient general    03-06 03-15 -       I63.9 3000  -     -                moved to another hospital within a day
        left         c       h1    inpatient general    03-01 03-05 -       I63.9 3000  -     -                the first stay
        elsewhere    c       h2    inpatient general    03-08 03-15 -       I63.9 3000  -     P-READMIT:3000   another hospital, but no transfer: three days later
        cycle1       d       h1    inpatient oncology   03-01 03-03 -       Z51.1 3000  -     -                a cycle of chemotherapy
        cycle2       d       h1    inpatient general    03-08 03-10 -       Z51.1 3000  -     -                the next cycle, whatever the department
        lung         e       h1    inpatient general    03-01 03-05 -       J18.9 3000  -     -                the first stay
        gut          e       h1    inpatient general    03-08 03-10 -       K35.8 3000  -     -                another diagnosis
        f1           f       h1    inpatient general    03-01 03-05 -       J18.9 3000  -     -                the first stay
        later        f       h1    inpatient general    03-13 03-15 -       J18.9 3000  -     -                eight days later
        g1           g       h1    inpatient general    03-01 03-05 -       J18.9 3000  -     -                the first stay
        limit        g       h1    inpatient general    03-12 03-15 -       J18.9 3000  -     P-READMIT:3000   on the seventh day
        mind1        h       h1    inpatient psychiatry 03-01 03-05 -       F20.9 3000  -     -                a stay in psychiatry
        mind2        h       h1    inpatient psychiatry 03-08 03-10 -       F20.9 3000  -     -                psychiatry readmits
        half1        i       h1    inpatient general    03-01 03-05 -       J18.9 3000  v1    -                a long stay is settled twice
        half2        i       h1    inpatient general    03-05 03-15 -       J18.9 3000  v1    -                the second settlement of the same stay
        undone       j       h1    inpatient general    03-01 03-05 -       J18.9 3000  -     -                settled by mistake
        refund       j       h1    inpatient general    03-01 03-05 03-06   J18.9 -3000 -     -                taken back
        proper       j       h1    inpatient general    03-07 03-12 -       J18.9 3100  -     -                the only stay that stands
        clinic       k       h1    outpatient general   03-05 03-05 -       J18.9 300   -     -                a visit
        admitted     k       h1    inpatient general    03-07 03-12 -       J18.9 3000  -     -                admitted after a visit
        """,
    ),
    Case(
        "hanging-bed",
        """
        claim   patient kind      dept       in    out   dx    hits              why                                          charges
        idle    a       inpatient general    03-01 03-08 M54.5 P-IDLE-STAY:300   bed_and_nursing_only_on_five_inner_days      普通病房床位>03-01..03-07+二级护理>03-01..03-07+氯化钠注射液>03-01+氯化钠注射液>03-07
        treated b       inpatient general    03-01 03-08 M54.5 -                 the_same_stay_with_an_infusion_every_day     普通病房床位>03-01..03-07+二级护理>03-01..03-07+氯化钠注射液>03-01..03-07
        mind    c       inpatient psychiatry 03-01 03-08 F20.9 -                 talking_is_the_treatment_in_psychiatry       普通病房床位>03-01..03-07+二级护理>03-01..03-07
        two     d       inpatient general    03-01 03-08 M54.5 -                 two_idle_days_such_as_a_weekend              普通病房床位>03-01..03-07+二级护理>03-01..03-07+氯化钠注射液>03-01..03-05
        three   e       inpatient general    03-01 03-08 M54.5 P-IDLE-STAY:180   three_idle_days                              普通病房床位>03-01..03-07+二级护理>03-01..03-07+氯化钠注射液>03-01..03-04
        undone  f       inpatient general    03-01 03-08 M54.5 P-IDLE-STAY:180   an_infusion_charged_and_taken_back_is_none   普通病房床位>03-01..03-07+二级护理>03-01..03-07+氯化钠注射液>03-01..03-04+氯化钠注射液>03-06+氯化钠注射液*-1>03-06
        """,
    ),
    Case(
        "duplicate-prescription",
        """
        claim     patient place in    dx    charges              hits              why
        a1        a       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days from one hospital
        a2        a       h2    03-06 E78.5 阿托伐他汀钙片*30/30d   P-DUP-DRUG:50     25 of 30 days are still in hand from elsewhere
        b1        b       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days
        b2        b       h1    03-06 E78.5 阿托伐他汀钙片*30/30d   -                 an early refill at the same hospital
        c1        c       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days
        c2        c       h2    03-26 E78.5 阿托伐他汀钙片*30/30d   -                 five days' overlap
        d1        d       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days
        d2        d       h2    03-06 E78.5 瑞舒伐他汀钙片*30/30d   -                 another drug
        e1        e       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days
        e2        e       h2    03-11 E78.5 阿托伐他汀钙片*30/30d   P-DUP-DRUG:40     exactly twenty days' overlap
        f1        f       h1    03-01 E78.5 阿托伐他汀钙片*30/30d   -                 thirty days
        f2        f       h2    03-12 E78.5 阿托伐他汀钙片*30/30d   -                 nineteen days' overlap
        g1        g       h1    03-01 E78.5 维生素C片*10+阿托伐他汀钙片*30/30d+阿托伐他汀钙片*-30/30d - charged and taken back at once
        g2        g       h2    03-06 E78.5 阿托伐他汀钙片*30/30d   -                 so this is the first
        p1        p       shop  03-01 M81.9 按盒药*2              -                 sixty days by the master's days per box
        p2        p       h1    03-06 M81.9 按盒药*1              P-DUP-DRUG:30     all of it is still in hand
        """,
    ),
    Case(
        "excluded-pair",
        """
        claim    patient kind       in    out   dx    charges                                  hits                         why
        pair     a       outpatient 03-02 -     E78.5 血脂四项+总胆固醇测定                        P-EXCLUDED-PAIR/EXC-0011:8   the panel contains the single test
        day      b       inpatient  03-02 03-03 E78.5 血脂四项>03-02+总胆固醇测定>03-03            -                            repeated on another day
        undone   c       outpatient 03-02 -     E78.5 血脂四项+总胆固醇测定+总胆固醇测定*-1          -                            the single test was taken back
        morning  d       outpatient 03-02 -     E78.5 血脂四项                                   -                            the panel
        evening  d       outpatient 03-02 -     E78.5 总胆固醇测定                                -                            another visit of the day
        """,
    ),
    Case(
        "over-supply",
        """
        claim    patient kind       in         dx    charges              hits                     why
        much     a       outpatient 03-02      E11.9 二甲双胍片*120/120d    P-SUPPLY/SUP-0002:28     28 days above the 92 allowed
        weeks    b       outpatient 03-02      E11.9 二甲双胍片*84/84d      -                        a long prescription of twelve weeks
        limit    c       outpatient 03-02      E11.9 二甲双胍片*92/92d      -                        exactly the limit
        s1       d       outpatient 02-01      E11.9 二甲双胍片*90/90d      -                        a long prescription
        s2       d       outpatient 03-02      E11.9 二甲双胍片*90/90d      -                        61 + 90 days in hand
        s3       d       outpatient 03-10      E11.9 二甲双胍片*90/90d      P-OVERSUPPLY:53          143 + 90 days in hand are 53 too many
        m1       e       chronic    01-05      E11.9 二甲双胍片*30/30d      -                        a month
        m2       e       chronic    02-04      E11.9 二甲双胍片*30/30d      -                        a month
        m3       e       chronic    03-06      E11.9 二甲双胍片*30/30d      -                        a month
        m4       e       chronic    04-03      E11.9 二甲双胍片*30/30d      -                        refilled two days early
        """,
    ),
    Case(
        "sex",
        """
        claim    patient in    dx    charges        hits                                                why
        woman    w       03-02 Z00.0 前列腺特异抗原    M-SEX-ITEM/LIM-0019:60                              a test of men on a woman
        man      m       03-02 Z00.0 前列腺特异抗原    -                                                   on a man
        unknown  u       03-02 Z00.0 前列腺特异抗原    -                                                   sex unknown
        master   m       03-03 Z00.0 目录限女药       M-SEX-MASTER/MASTER-F--:10                          the item master limits it to women
        hers     w       03-03 Z00.0 目录限女药       -                                                   to a woman
        both     m       03-04 O20.0 黄体酮胶囊       M-SEX-MASTER/MASTER-F--:3.5,M-SEX-DIAGNOSIS:3.5     the master's limit says the same as our table's
        nobody   u       03-04 O20.0 黄体酮胶囊       -                                                   sex unknown
        womb     m       03-05 N80.0 维生素C片*10    M-SEX-DIAGNOSIS:10                                  endometriosis of a man
        hers2    w       03-05 N80.0 维生素C片*10    -                                                   of a woman
        prostate w       03-06 N40   维生素C片*10    M-SEX-DIAGNOSIS-M:10                                prostate of a woman
        his      m       03-06 N40   维生素C片*10    -                                                   of a man
        """,
        """
        patient sex born
        w       F   1976-05-01
        m       M   1976-05-01
        u       -   1976-05-01
        """,
    ),
    Case(
        "age",
        """
        claim    patient in    dx    charges             hits                            why
        young    y       03-09 M13.9 塞来昔布胶囊*10        M-AGE-ITEM/LIM-0030:50          not under sixteen
        birthday y       03-10 M13.9 塞来昔布胶囊*10        -                               sixteen today
        unknown  u       03-09 M13.9 塞来昔布胶囊*10        -                               age unknown
        adult    g       03-20 J06.9 小儿氨酚黄那敏颗粒*10   M-AGE-ITEM/LIM-0049:20          a children's drug to a grown-up
        eighteen g       03-10 J06.9 小儿氨酚黄那敏颗粒*10   -                               a birthday is given the benefit of the doubt
        child    y       03-12 J06.9 小儿氨酚黄那敏颗粒*10   -                               to a child
        senile   y       03-16 G30.9 维生素C片*10         M-AGE-DIAGNOSIS:10              senile dementia of a boy
        old      o       03-16 G30.9 维生素C片*10         -                               of an old woman
        nobody   u       03-16 G30.9 维生素C片*10         -                               age unknown
        minor    y       03-13 Z00.0 目录限成人药          M-AGE-MASTER/MASTER-any-18-:10  the item master says from 18
        grown    g       03-13 Z00.0 目录限成人药          -                               eighteen
        """,
        """
        patient sex born
        y       F   2010-03-10
        g       F   2008-03-10
        o       F   1940-03-10
        u       F   -
        """,
    ),
    Case(
        "indication",
        """
        claim     patient in         dx          charges        hits                        why
        seed      a       03-02      K30.x00     黄体酮胶囊*10    M-INDICATION/IND-0001:35    progesterone to a woman with indigestion
        threat    b       03-02      O20.0       黄体酮胶囊*10    -                           threatened miscarriage
        known     c       2025-11-22 N92.1       维生素C片       -                           irregular bleeding, a hundred days earlier
        refill    c       03-02      K30         黄体酮胶囊*10    -                           the diagnosis of another claim explains it
        forgotten d       2025-01-20 N92.1       维生素C片       -                           more than a year ago
        stale     d       03-02      K30         黄体酮胶囊*10    M-INDICATION/IND-0001:35    nobody remembers that
        none      e       03-02      -           黄体酮胶囊*10    -                           no diagnosis known
        second    f       03-02      K30+N92.1   黄体酮胶囊*10    -                           the second diagnosis is an indication
        after     g       03-02      K30         黄体酮胶囊*10    M-INDICATION/IND-0001:35    the diagnosis comes later
        late      g       03-05      N92.1       维生素C片       -                           and excuses nothing before it
        undone    h       03-02      K30         维生素C片*10+黄体酮胶囊*10+黄体酮胶囊*-10 - charged and taken back
        """,
    ),
    Case(
        "contraindication",
        """
        claim    patient in    dx          charges              hits                      why
        pregnant a       03-02 E78.5+Z34.9 阿托伐他汀钙片*10/10d    M-CONTRA/CON-0001:20      a statin in pregnancy
        not      b       03-02 E78.5       阿托伐他汀钙片*10/10d    -                         not pregnant
        before   c       03-02 Z34.9       维生素C片             -                         pregnant
        born     c       04-02 E78.5       阿托伐他汀钙片*10/10d    -                         what an earlier visit said may be over
        unknown  u       03-02 E78.5+Z34.9 阿托伐他汀钙片*10/10d    -                         sex unknown: perhaps a slip of the code
        """,
        """
        patient sex born
        u       -   1976-05-01
        """,
    ),
    Case(
        "interaction",
        """
        claim   patient in    dx          charges                           hits                       why
        both    m       03-02 I20.9+N48.4 硝酸甘油片+西地那非片                  M-INTERACTION/INT-0001:0   a fall of blood pressure; no money is at issue
        undone  m       03-12 I20.9+N48.4 硝酸甘油片+西地那非片+西地那非片*-1      -                          taken back
        heart   m       03-22 I20.9       硝酸甘油片                           -                          one of them
        other   m       03-24 N48.4       西地那非片                           -                          the other, on another visit
        """,
        """
        patient sex born
        m       M   1976-05-01
        """,
    ),
    Case(
        "consumable",
        """
        claim   patient kind      in    out   dx    charges                                             hits                         why
        alone   a       inpatient 03-02 03-04 I21.9 冠脉支架>03-03                                        M-CONSUMABLE/CSM-0001:8000   a stent that nobody implanted
        placed  b       inpatient 03-02 03-04 I21.9 冠脉支架>03-03+经皮冠状动脉支架置入术>03-02                 -                            implanted on another day of the stay
        undone  c       inpatient 03-02 03-04 I21.9 冠脉支架>03-03+经皮冠状动脉支架置入术>03-03+经皮冠状动脉支架置入术*-1>03-03 M-CONSUMABLE/CSM-0001:8000 the operation was taken back
        """,
    ),
    Case(
        "course",
        """
        claim  patient place kind       in    out   dx    charges             hits                    why
        a1     a       h1    outpatient 03-01 -     C34.9 肿瘤标志物组合        -                       a first time
        a2     a       h2    outpatient 03-08 -     C34.9 肿瘤标志物组合        -                       a second, elsewhere
        a3     a       h1    outpatient 03-16 -     C34.9 肿瘤标志物组合        -                       a third: exactly the limit
        a4     a       h3    outpatient 03-30 -     C34.9 肿瘤标志物组合        P-COURSE/CRS-0030:200   a fourth within thirty days, over three institutions
        b1     b       h1    outpatient 03-01 -     C34.9 肿瘤标志物组合*3      -                       three
        b2     b       h1    outpatient 03-31 -     C34.9 肿瘤标志物组合        -                       thirty days later
        m1     m       h1    outpatient 03-02 -     M54.5 中频脉冲治疗*6        -                       six in March
        m2     m       h2    outpatient 03-30 -     M54.5 中频脉冲治疗*5        P-COURSE/MY-1:20        eleven in March: one of these five is too many
        n1     n       h1    outpatient 03-30 -     M54.5 中频脉冲治疗*6        -                       six in March
        n2     n       h2    outpatient 04-02 -     M54.5 中频脉冲治疗*6        -                       six in April
        k1     k       h1    outpatient 03-02 -     M54.5 中频脉冲治疗*6        -                       six
        k2     k       h2    outpatient 03-30 -     M54.5 中频脉冲治疗*4        -                       exactly the limit
        ward   w       h1    inpatient  03-02 03-03 M54.5 二级护理*3>03-02+氯化钠注射液>03-02 P-COURSE/CRS-0007:40 nursing is charged once a day
        """,
    ),
    Case(
        "two-beds",
        """
        claim   patient place kind       in    out   settled dx    total visit hits                 why
        long    a       h1    inpatient  03-01 03-10 -       I63.9 5000  -     -                    a stay
        double  a       h2    inpatient  03-05 03-12 -       M54.5 4000  -     P-DOUBLE-STAY:4000   in two hospitals at once
        left    b       h1    inpatient  03-01 03-10 -       I63.9 5000  -     -                    a stay
        moved   b       h2    inpatient  03-10 03-14 -       M54.5 4000  -     -                    admitted on the day of discharge
        c1      c       h1    inpatient  03-01 03-10 -       I63.9 5000  -     -                    a stay
        c2      c       h2    inpatient  03-09 03-14 -       M54.5 4000  -     -                    a night's overlap is a clerk's
        half1   d       h1    inpatient  03-01 03-31 03-15   I63.9 5000  v1    -                    one stay
        half2   d       h1    inpatient  03-01 03-31 -       I63.9 4000  v1    -                    settled twice
        away    e       h2    outpatient 03-05 -     -       J06.9 100   -     -                    a visit elsewhere
        inside  e       h1    inpatient  03-01 03-10 -       I63.9 5000  -     P-INSIDE-STAY:0      while admitted; told of the one settled later
        same    f       h1    outpatient 03-05 -     -       J06.9 100   -     -                    at the same hospital
        own     f       h1    inpatient  03-01 03-10 -       I63.9 5000  -     -                    may be a consultation
        leaving g       shop  pharmacy   03-10 -     -       J06.9 100   -     -                    on the way home
        gone    g       h1    inpatient  03-01 03-10 -       I63.9 5000  -     -                    on the day of discharge
        """,
    ),
    Case(
        "lifetime",
        """
        claim   patient kind       in         out        settled dx    total hits                  why
        dead    a       outpatient 03-06      -          -       I10   100   P-DEATH:100           the day after the death
        sameday a       outpatient 03-05      -          -       I10   100   -                     on the day of the death
        last    a       inpatient  03-01      03-05      03-09   I10   5000  -                     the last stay, settled after the death
        early   b       outpatient 03-02      -          -       Z00   100   P-BEFORE-BIRTH:100    a day before the birth
        birth   b       outpatient 03-03      -          -       Z00   100   -                     on the day of birth
        """,
        """
        patient sex born       died
        a       F   1940-01-01 03-05
        b       F   2026-03-03 -
        """,
    ),
    Case(
        "outside-stay",
        """
        claim   patient kind      in    out   dx    charges                                        hits                 why
        before  a       inpatient 03-05 03-08 J18.9 氯化钠注射液>03-05..03-08+腹部B超>03-02            P-OUTSIDE-STAY:120   three days before admission
        night   b       inpatient 03-05 03-08 J18.9 氯化钠注射液>03-05..03-08+腹部B超>03-04            -                    in the emergency room the night before
        after   c       inpatient 03-05 03-08 J18.9 氯化钠注射液>03-05..03-08+腹部B超>03-10            P-OUTSIDE-STAY:120   two days after discharge
        undone  d       inpatient 03-05 03-08 J18.9 氯化钠注射液>03-05..03-08+腹部B超>03-10+腹部B超*-1>03-10 -              taken back
        clinic  e       outpatient 03-05 -    J18.9 腹部B超>03-10                                  -                    a visit may be charged later
        """,
    ),
    Case(
        "prices",
        """
        claim   patient in    dx    charges                               hits                why
        above   a       03-02 Z00.0 限价药*3@12                             P-PRICE-LIMIT:6     two yuan above the limit, three times
        limit   b       03-02 Z00.0 限价药*3@10                             -                   exactly the limit
        undone  c       03-02 Z00.0 维生素C片*10+限价药*3@12+限价药*-3@12      -                   taken back
        partly  d       03-02 Z00.0 限价药*3@12+限价药*-1@12                  P-PRICE-LIMIT:4     one of three taken back
        other   e       03-02 Z00.0 维生素C片*3@12                          -                   no limit known
        """,
    ),
    Case(
        "charged-twice",
        """
        claim   patient kind       in    out   dx    charges                                       hits              why
        twice   a       outpatient 03-02 -     J18.9 胸部DR摄影+胸部DR摄影+胸部DR摄影                   P-DUPLICATE:160   the same image three times
        size    b       outpatient 03-02 -     J18.9 胸部DR摄影+胸部DR摄影@95                         -                 another price is another image
        days    c       inpatient  03-02 03-04 J18.9 胸部DR摄影>03-02+胸部DR摄影>03-04                -                 repeated on another day
        undone  d       outpatient 03-02 -     J18.9 胸部DR摄影+胸部DR摄影+胸部DR摄影*-1               -                 typed twice and taken back
        drops   e       outpatient 03-02 -     J18.9 静脉输液+静脉输液                                -                 two infusions a day are no repetition
        """,
    ),
    Case(
        "shares",
        """
        claim    patient kind       in    out   dx    charges                                   hits                       why
        drugs    a       inpatient  03-02 03-04 J18.9 氯化钠注射液*450+腹部B超*8                    P-DRUG-SHARE:0             82 % drugs
        cancer   b       inpatient  03-02 03-04 C34.9 氯化钠注射液*450+腹部B超*8                    -                          drugs are the treatment of cancer
        small    c       inpatient  03-02 03-04 J18.9 氯化钠注射液*45+腹部B超*0.8                   -                          a small claim
        eighty   d       inpatient  03-02 03-04 J18.9 氯化钠注射液*480+腹部B超*10                   -                          exactly 80 %
        exams    e       inpatient  03-02 03-04 J18.9 腹部B超*15+氯化钠注射液*30                    P-EXAM-SHARE:0             86 % exams
        checkup  f       inpatient  03-02 03-04 J18.9 腹部B超*15+氯化钠注射液*10                    P-LOW-THRESHOLD:1900       95 % exams: the stronger rule speaks
        clinic   g       outpatient 03-02 -     J18.9 腹部B超*15                                 -                          a visit may be all exams
        stents   h       inpatient  03-02 03-04 I21.9 冠脉支架*3+经皮冠状动脉支架置入术@5000           P-CONSUMABLE-SHARE:0       83 % consumables
        therapy  j       inpatient  03-02 03-04 M54.5 静脉输液*1100+腹部B超*4                     P-TREATMENT-SHARE:0        92 % treatment
        kidney   k       inpatient  03-02 03-04 N18.5 静脉输液*1100+腹部B超*4                     -                          dialysis is treatment
        scans    l       inpatient  03-02 03-04 J18.9 胸部CT平扫*2+静脉输液*100                   P-CT-SHARE:0               62 % CT
        scan     m       inpatient  03-02 03-04 J18.9 胸部CT平扫+静脉输液*100                     -                          44 %
        magnet   n       inpatient  03-02 03-04 G45.9 头部磁共振平扫+静脉输液*100                   P-MR-SHARE:0               58 % magnetic resonance
        little   o       inpatient  03-02 03-04 G45.9 头部磁共振平扫+静脉输液*50                    -                          of less than a thousand yuan
        stent    i       inpatient  03-02 03-04 I21.9 冠脉支架+经皮冠状动脉支架置入术                  -                          40 %
        """,
    ),
    Case(
        "data",
        """
        claim    patient place kind       in    out   settled doctor dx      total charges            hits                 why
        product  a       h1    outpatient 03-02 -     -       d1     J18.9   -     氯化钠注射液*2=30     D-LINE-AMOUNT:0      2 × 10 is not 30
        cent     b       h1    outpatient 03-02 -     -       d1     J18.9   -     氯化钠注射液*2=20.01  -                    rounded
        total    c       h1    outpatient 03-02 -     -       d1     J18.9   25    氯化钠注射液*2        D-TOTAL:0            25 is not 20
        yuan     d       h1    outpatient 03-02 -     -       d1     J18.9   21    氯化钠注射液*2        -                    within a yuan
        minus    e       h1    outpatient 03-02 -     -       d1     J18.9   -     氯化钠注射液*-2=20    D-QUANTITY:0,D-LINE-AMOUNT:0  money for minus two
        undone   f       h1    outpatient 03-02 -     -       d1     J18.9   -     氯化钠注射液*3+氯化钠注射液*-1 -              a line taken back
        dates    g       h1    inpatient  03-05 03-02 03-06   d1     J18.9   100   -                   D-DATES:0            discharged before admitted
        sameday  h       h1    inpatient  03-05 03-05 -       d1     J18.9   100   -                   -                    on one day
        code     i       h1    outpatient 03-02 -     -       d1     肺炎     100   -                   D-DIAGNOSIS-CODE:0   no ICD-10 code
        sixth    j       h1    outpatient 03-02 -     -       d1     j18.900 100   -                   -                    the national edition's six digits, in small letters
        doctor   k       h1    outpatient 03-02 -     -       -      J18.9   100   -                   D-DOCTOR-CODE:0      a hospital claim without a doctor
        zeros    l       h1    outpatient 03-02 -     -       0000   J18.9   100   -                   D-DOCTOR-CODE:0      a placeholder is no doctor
        shop     m       shop  pharmacy   03-02 -     -       -      J18.9   100   -                   -                    a pharmacy needs none
        nothing  n       h1    inpatient  03-02 03-04 -       d1     -       100   -                   D-NO-DIAGNOSIS:0     a stay without a diagnosis
        clinic   o       h1    outpatient 03-02 -     -       d1     -       100   -                   -                    a visit without one
        second   p       h1    inpatient  03-02 03-04 -       d1     +J18.9  100   -                   -                    only the second diagnosis is filled in
        """,
    ),
    Case(
        "places",
        """
        claim    patient place kind       dept       in    out   dx    charges         hits                            why
        shop     a       shop  pharmacy   general    03-02 -     Z00.0 腹部B超          P-VISIT-TYPE/LIM-0058:120       an exam settled by a pharmacy
        hospital a       h1    outpatient general    03-02 -     Z00.0 腹部B超          -                               by a hospital
        village  b       h3    outpatient general    03-02 -     C34.9 PET-CT         P-INSTITUTION/LIM-0068:7000     a health centre has no such machine
        city     b       h1    outpatient general    04-05 -     C34.9 PET-CT         -                               a hospital has
        shocks   c       h1    inpatient  general    03-02 03-04 F33.2 无抽搐电休克>03-03 P-DEPARTMENT/LIM-0063:300       not in psychiatry
        ward     d       h1    inpatient  psychiatry 03-02 03-04 F33.2 无抽搐电休克>03-03 -                               in psychiatry
        unfit    e       h1    outpatient general    03-02 -     J06.9 骨密度测定        M-EXAM-FIT/EXM-0012:100         nothing calls for it
        fit      f       h1    outpatient general    03-02 -     M81.9 骨密度测定        -                               osteoporosis
        """,
    ),
    Case(
        "in-force",
        """
        claim   patient in    dx    charges    hits          why
        before  a       03-14 M54.5 电子针疗仪   -             the day before the rule is in force
        first   a       03-15 M54.5 电子针疗仪   X-AUTUMN:50   its first day
        last    a       04-10 M54.5 电子针疗仪   X-AUTUMN:50   its last day
        over    a       04-11 M54.5 电子针疗仪   -             the day after
        """,
    ),
]


def judged(engine: str, folder: Path) -> Judged:
    rules = folder / "rules"
    (rules / "knowledge").mkdir(parents=True)
    (rules / "mine.toml").write_text(RULES, encoding="utf-8")
    (rules / "knowledge" / "course_limits.csv").write_text(COURSES, encoding="utf-8")
    return judge(engine, folder, tables_of(CASES, catalogue(PRICES), ITEMS), rules)


@pytest.fixture(scope="session")
def judged_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judged("duckdb", tmp_path_factory.mktemp("rules_duckdb"))


@pytest.fixture(scope="session")
def judged_spark(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judged("spark", tmp_path_factory.mktemp("rules_spark"))


@pytest.fixture(
    params=["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])]
)
def both(request: pytest.FixtureRequest) -> Judged:
    """What the rules find in every case, on each engine."""
    return request.getfixturevalue(f"judged_{request.param}")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_worked_example(case, both):
    wanted = expected(case)
    assert {c: both.told().get(c, set()) for c in wanted} == wanted


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_screen_says_the_same_of_one_claim(case, both):
    wanted = expected(case)
    assert {c: both.told_singly().get(c, set()) for c in wanted} == wanted


def test_batch_and_screen_agree_to_the_word(both):
    assert both.findings == both.single_findings
    for row in both.hits.itertuples(index=False):
        [hit] = [
            h
            for h in both.single[row.claim_id]
            if (h.code, h.knowledge.get("id", "")) == (row.rule, row.knowledge)
        ]
        assert (hit.explanation_zh, hit.explanation_en) == (row.sentence_zh, row.sentence_en)
        assert (list(hit.items), list(hit.earlier_claims)) == (list(row.items), list(row.earlier_claims))
        assert (hit.result, hit.severity) == (row.result, row.severity)


def test_every_built_in_rule_has_a_worked_example(both):
    shown = {hit.split(":")[0].split("/")[0] for c in CASES for hits in expected(c).values() for hit in hits}
    rules = load_rule_set().rules
    needs_features = {c for c, r in rules.items() if r.kind == "measure"}
    assert set(rules) - shown == needs_features
    assert set(both.skipped) == needs_features


def test_the_seeds_case_names_rule_scope_and_contraindications(both):
    hits = both.hits
    [row] = hits[hits["claim_id"] == "indication.seed"].to_dict("records")
    assert row["severity"] == "warn"
    assert row["sentence_zh"].startswith(
        "就诊诊断（含近一年诊断）不在该药品适应症范围内：黄体酮胶囊；适应症：先兆流产"
    )
    assert row["sentence_en"].startswith("none of the diagnoses")
    assert row["line_ids"] == ["indication.seed.0"]
    assert row["exemptions_zh"] == ["近365天的诊断"]
    [hit] = both.single["indication.seed"]
    assert "稽留流产" in hit.knowledge["contraindications_zh"]
    assert hit.knowledge["scope_zh"] and hit.knowledge["source"] and hit.clause


def test_evidence_names_lines_and_earlier_claims(both):
    rows = {(r["claim_id"], r["rule"]): r for r in both.hits.to_dict("records")}
    split = rows["split-stay.again", "P-READMIT"]
    assert (split["earlier_claims"], split["value"], split["bound"]) == (["split-stay.first"], 3.0, 7.0)
    assert "一日内转院" in split["exemptions_zh"]
    pair = rows["excluded-pair.pair", "P-EXCLUDED-PAIR"]
    assert (pair["line_ids"], pair["items"], pair["partners"]) == (
        ["excluded-pair.pair.1"],
        ["总胆固醇测定"],
        ["血脂四项"],
    )
    course = rows["course.a4", "P-COURSE"]
    assert course["earlier_claims"] == ["course.a1", "course.a2", "course.a3"]
    idle = rows["hanging-bed.idle", "P-IDLE-STAY"]
    assert len(idle["line_ids"]) == 10 and idle["value"] == 5.0


def test_the_fund_pays_half_of_what_is_at_issue(both):
    claims = both.claims
    assert claims.at["over-supply.much", "rule_hits"] == ("P-SUPPLY",)
    assert claims.at["over-supply.much", "amount_at_issue"] == 28
    assert claims.at["over-supply.much", "fund_at_issue"] == 14
    assert claims.at["sex.both", "rule_hits"] == ("M-SEX-DIAGNOSIS", "M-SEX-MASTER")
    assert claims.at["sex.both", "amount_at_issue"] == 3.5, "two rules on one line do not count it twice"


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_both_engines_say_the_same_to_the_byte(judged_duckdb, judged_spark):
    pd.testing.assert_frame_equal(judged_duckdb.hits, judged_spark.hits, check_exact=True)
    pd.testing.assert_frame_equal(judged_duckdb.claims, judged_spark.claims, check_exact=True)
    assert judged_duckdb.findings == judged_spark.findings
    assert judged_duckdb.index == judged_spark.index
