# complete.lua's XTRIM MINID against a model: whatever happens between claim and completion, it removes nothing but its own entries.
from lib import *
import random, sys
r=server(); seed=int(sys.argv[1]) if len(sys.argv)>1 else 1; R=random.Random(seed)
rid=[v for k,v in r.info('replication').items() if k=='master_replid'][0]
q=Q(r); lane=q.lanes[3]; group(r,q)
mk=[lane,q.due,q.bodies,q.dead,q.dead_bodies,q.stats,*q.lanes,q.cancelled,q.index,q.dropped,q.lease]
claims=[]; n=0; viol=0; cuts=0; comp=0
def allids(): return [i for i,_ in r.xrange(lane)]
def after(i): a,b=i.split(b'-'); return a+b'-'+str(int(b)+1).encode()
for step in range(6000):
    x=R.random()
    if x<.30:
        for _ in range(R.randint(1,12)): n+=1; r.xadd(lane,{'j':env(n.to_bytes(16,'big'))})
    elif x<.55:
        try: got=r.xreadgroup('workers',R.choice('ABC'),{lane:'>'},count=R.choice([1,8,9,16]))
        except redis.ResponseError: group(r,q); continue
        if got: claims.append([i for i,_ in got[0][1]])
    elif x<.85 and claims:
        c=claims.pop(R.randrange(len(claims))); ids=c if R.random()<.8 else R.sample(c,R.randint(1,len(c)))
        whole=len(ids)==len(c)>=8
        before=set(allids())
        v=q.run('complete',[lane,q.stats],[rid,c[0] if whole else '',after(c[-1]) if whole else '',*ids])[0]
        gone=before-set(allids()); comp+=len(gone)
        if gone-set(ids): viol+=1; print('VIOLATION',step,sorted(gone-set(ids))[:5],'of claim',c[0],c[-1],v)
        if v==b'OK' and whole: cuts+=1
        left=set(c)-set(ids)
        if left: claims.append([i for i in c if i in left])
    elif x<.92 and claims:   # rescue or retry of some of a claim, by the holder that the group names
        c=R.choice(claims); i=R.choice(c); p=r.xpending_range(lane,'workers',i,i,1) if r.exists(lane) else []
        if p:
            f=r.xrange(lane,i,i)
            if f: q.run('settle',mk,[p[0]['consumer'],100,q.control,'','',settlement(i,f[0][1][b'j'][2:18],'x',*R.choice([[['to_lane',head(3,deliv=1)]],[['to_due',head(3,deliv=1),0]],[]]))])
    elif x<.95:
        a=allids()
        if a: r.xdel(lane,R.choice(a))
    elif x<.965:
        r.xgroup_destroy(lane,'workers'); group(r,q)
    elif x<.975:
        a=allids(); r.xgroup_setid(lane,'workers',R.choice(a) if a and R.random()<.7 else '0')
    elif x<.985:
        p=r.xpending_range(lane,'workers','-','+',5)
        if p: r.xclaim(lane,'workers',R.choice('ABC'),0,[R.choice(p)['message_id']])
    else:
        r.xack(lane,'workers',*( [R.choice(allids())] if r.xlen(lane) else ['0-1']))
print('seed',seed,'steps 6000 completed',comp,'whole cuts ok',cuts,'violations',viol)
